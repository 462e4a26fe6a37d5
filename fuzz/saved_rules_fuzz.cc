// iptables-save's output, which holds the comments and names that whoever may write rules chose.
#include <cstdint>

#include "plane/choice/saved_rules.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const auto& fact : netserv::plane::saved_rules("iptables", {reinterpret_cast<const char*>(data), size})) (void)fact;
  return 0;
}
