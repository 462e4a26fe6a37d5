// gist::Crypto by OpenSSL: its random generator and HMAC-SHA-256.
#pragma once

#include "gist/environment.h"

namespace netserv::gist {

class OpenSslCrypto final : public Crypto {
 public:
  // Aborts if the system gives no randomness: there is no safe way on.
  void fill(std::span<std::byte> out) override;
  Digest hmac(ByteSpan key, ByteSpan data) override;
};

}  // namespace netserv::gist
