// Keys of configurations and key files, and signatures out of messages: PEM and base64 as anybody may write them.
#include <cstdint>

#include "auth/keys.h"

using namespace netserv;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto key = auth::parse_public_key(text)) {
    auto again = auth::parse_public_key(auth::print_public_key(*key));
    NETSERV_CHECK(again && *again == *key);
  }
  if (auto key = auth::parse_private_key(text)) {
    const auto print = auth::print_private_key(*key);
    auto again = auth::parse_private_key(print);
    NETSERV_CHECK(again && auth::print_private_key(*again) == print);
  }
  static const auth::PublicKey kKey{};
  NETSERV_CHECK(!auth::verify(kKey, "SETUP", text));
  return 0;
}
