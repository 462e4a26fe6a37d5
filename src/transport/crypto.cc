#include "transport/crypto.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/result.h"

namespace netserv::transport {

void OpensslCrypto::fill(std::span<std::byte> out) {
  NETSERV_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size())) == 1);
}

gist::Digest OpensslCrypto::hmac(ByteSpan key, ByteSpan data) {
  gist::Digest out;
  unsigned length = 0;
  NETSERV_CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                     reinterpret_cast<const unsigned char*>(data.data()), data.size(),
                     reinterpret_cast<unsigned char*>(out.data()), &length) != nullptr);
  NETSERV_CHECK(length == out.size());
  return out;
}

}  // namespace netserv::transport
