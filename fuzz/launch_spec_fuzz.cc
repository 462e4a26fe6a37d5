// What netserv-launch reads, on its standard input and from the state folder: specifications of containers, and what
// their network may reach. What parses prints to what parses to itself.
#include <cstdint>

#include "lxc/launch_spec.h"

using namespace netserv;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto spec = lxc::parse_launch_spec(text)) {
    auto again = lxc::parse_launch_spec(lxc::print_launch_spec(*spec));
    NETSERV_CHECK(again && *again == *spec);
  }
  if (auto grants = lxc::parse_network_grants(text)) {
    auto again = lxc::parse_network_grants(lxc::print_network_grants(*grants));
    NETSERV_CHECK(again && *again == *grants);
  }
  return 0;
}
