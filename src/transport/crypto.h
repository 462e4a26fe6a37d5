// Randomness and MAC of the GIST core, by OpenSSL.
#pragma once

#include "gist/environment.h"

namespace netserv::transport {

class OpensslCrypto final : public gist::Crypto {
 public:
  // A generator that fails is an invariant broken: there is no safe way on.
  void fill(std::span<std::byte> out) override;
  gist::Digest hmac(ByteSpan key, ByteSpan data) override;
};

}  // namespace netserv::transport
