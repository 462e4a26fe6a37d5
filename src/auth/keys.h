// Ed25519 keys and signatures (RFC 8032), by OpenSSL. Values: 32 bytes each, no handles to free.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace netserv::auth {

struct PublicKey {
  std::array<std::byte, 32> bytes{};
  bool operator==(const PublicKey&) const = default;
};
struct PrivateKey {
  std::array<std::byte, 32> seed{};
};

// "-----BEGIN PUBLIC KEY-----" (SubjectPublicKeyInfo), or the 32 bytes in base64.
Result<PublicKey> parse_public_key(std::string_view text);
std::string print_public_key(const PublicKey& key);  // PEM
// "-----BEGIN PRIVATE KEY-----" (PKCS #8), without a pass phrase.
Result<PrivateKey> parse_private_key(std::string_view pem);
std::string print_private_key(const PrivateKey& key);

Result<PrivateKey> new_private_key();  // from the system's random source
PublicKey public_key_of(const PrivateKey& key);

// Base64 (RFC 4648, padded) of the 64 bytes.
std::string sign(const PrivateKey& key, std::string_view text);
// False also if `signature` is no base64 or of the wrong length.
bool verify(const PublicKey& key, std::string_view text, std::string_view signature);

using Sha256 = std::array<std::byte, 32>;
Sha256 sha256(ByteSpan bytes);

}  // namespace netserv::auth
