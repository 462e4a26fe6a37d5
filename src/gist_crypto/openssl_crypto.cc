#include "gist_crypto/openssl_crypto.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/result.h"

namespace netserv::gist {

void OpenSslCrypto::fill(std::span<std::byte> out) {
  NETSERV_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size())) == 1);
}

Digest OpenSslCrypto::hmac(ByteSpan key, ByteSpan data) {
  Digest out{};
  unsigned length = 0;
  const unsigned char* made = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                                   reinterpret_cast<const unsigned char*>(data.data()), data.size(),
                                   reinterpret_cast<unsigned char*>(out.data()), &length);
  NETSERV_CHECK(made && length == out.size());
  return out;
}

}  // namespace netserv::gist
