// netservd.toml: any text is a configuration or an error that names a line; a configuration prints to what parses to
// itself.
#include <cstdint>

#include "config/config.h"

using namespace netserv;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto config = config::parse(std::string_view(reinterpret_cast<const char*>(data), size), "netservd.toml");
  if (!config) {
    NETSERV_CHECK(config.error().origin == Origin::kOperator && config.error().subject.starts_with("netservd.toml"));
    return 0;
  }
  auto again = config::parse(config::print(*config), "printed");
  NETSERV_CHECK(again && *again == *config);
  return 0;
}
