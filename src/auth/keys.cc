#include "auth/keys.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <memory>
#include <optional>

namespace netserv::auth {
namespace {

struct Free {
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(EVP_MD_CTX* p) const { EVP_MD_CTX_free(p); }
  void operator()(BIO* p) const { BIO_free(p); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Context = std::unique_ptr<EVP_MD_CTX, Free>;
using Bio = std::unique_ptr<BIO, Free>;

const unsigned char* raw(const std::byte* p) { return reinterpret_cast<const unsigned char*>(p); }
unsigned char* raw(std::byte* p) { return reinterpret_cast<unsigned char*>(p); }
const unsigned char* raw(std::string_view s) { return reinterpret_cast<const unsigned char*>(s.data()); }

std::string to_base64(const unsigned char* bytes, std::size_t n) {
  std::string out((n + 2) / 3 * 4 + 1, '\0');
  out.resize(static_cast<std::size_t>(
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes, static_cast<int>(n))));
  return out;
}

// Canonical base64 of exactly N bytes, so that one signature has one text.
template <std::size_t N>
std::optional<std::array<std::byte, N>> from_base64(std::string_view text) {
  constexpr std::size_t kChars = (N + 2) / 3 * 4;
  unsigned char buffer[kChars];
  std::array<std::byte, N> out;
  if (text.size() != kChars || EVP_DecodeBlock(buffer, raw(text), static_cast<int>(kChars)) < 0) return std::nullopt;
  std::memcpy(out.data(), buffer, N);
  if (to_base64(raw(out.data()), N) != text) return std::nullopt;
  return out;
}

Key private_handle(const PrivateKey& key) {
  Key out(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw(key.seed.data()), key.seed.size()));
  NETSERV_CHECK(out);  // any 32 bytes are a key; only memory can lack
  return out;
}
Key public_handle(const PublicKey& key) {
  return Key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw(key.bytes.data()), key.bytes.size()));
}

std::string take_text(BIO* bio) {
  char* data = nullptr;
  long n = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<std::size_t>(n));
}

int no_pass_phrase(char*, int, int, void*) { return -1; }

}  // namespace

Result<PublicKey> parse_public_key(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  if (auto bytes = from_base64<32>(text)) return PublicKey{*bytes};
  Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  Key key(bio ? PEM_read_bio_PUBKEY(bio.get(), nullptr, no_pass_phrase, nullptr) : nullptr);
  PublicKey out;
  std::size_t n = out.bytes.size();
  if (!key || EVP_PKEY_id(key.get()) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_public_key(key.get(), raw(out.bytes.data()), &n) != 1)
    return fail(Origin::kOperator, "public key", "is no Ed25519 public key in PEM or base64");
  return out;
}

Result<PrivateKey> parse_private_key(std::string_view pem) {
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Key key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_pass_phrase, nullptr) : nullptr);
  PrivateKey out;
  std::size_t n = out.seed.size();
  if (!key || EVP_PKEY_id(key.get()) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_private_key(key.get(), raw(out.seed.data()), &n) != 1)
    return fail(Origin::kPublisher, "private key", "is no unencrypted Ed25519 private key in PEM; make one with: netserv key new FILE");
  return out;
}

std::string print_public_key(const PublicKey& key) {
  Bio bio(BIO_new(BIO_s_mem()));
  Key handle = public_handle(key);
  NETSERV_CHECK(bio && handle && PEM_write_bio_PUBKEY(bio.get(), handle.get()) == 1);
  return take_text(bio.get());
}

std::string print_private_key(const PrivateKey& key) {
  Bio bio(BIO_new(BIO_s_mem()));
  Key handle = private_handle(key);
  NETSERV_CHECK(bio && PEM_write_bio_PrivateKey(bio.get(), handle.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return take_text(bio.get());
}

Result<PrivateKey> new_private_key() {
  PrivateKey out;
  if (RAND_bytes(raw(out.seed.data()), static_cast<int>(out.seed.size())) != 1)
    return fail(Origin::kSystem, "random source", "gave no bytes");
  return out;
}

PublicKey public_key_of(const PrivateKey& key) {
  PublicKey out;
  std::size_t n = out.bytes.size();
  NETSERV_CHECK(EVP_PKEY_get_raw_public_key(private_handle(key).get(), raw(out.bytes.data()), &n) == 1);
  return out;
}

std::string sign(const PrivateKey& key, std::string_view text) {
  Context context(EVP_MD_CTX_new());
  Key handle = private_handle(key);
  unsigned char signature[64];
  std::size_t n = sizeof signature;
  NETSERV_CHECK(context && EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, handle.get()) == 1 &&
                EVP_DigestSign(context.get(), signature, &n, raw(text), text.size()) == 1);
  return to_base64(signature, n);
}

bool verify(const PublicKey& key, std::string_view text, std::string_view signature) {
  auto bytes = from_base64<64>(signature);
  Context context(EVP_MD_CTX_new());
  Key handle = public_handle(key);
  return bytes && context && handle &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, handle.get()) == 1 &&
         EVP_DigestVerify(context.get(), raw(bytes->data()), bytes->size(), raw(text), text.size()) == 1;
}

Sha256 sha256(ByteSpan bytes) {
  Sha256 out;
  SHA256(raw(bytes.data()), bytes.size(), raw(out.data()));
  return out;
}

}  // namespace netserv::auth
