// Which addresses this node fetches modules from and posts notifications to. A publisher chooses the URL, so
// without these rules the node would open its own network to it (server-side request forgery). Checked on the
// address that is about to be connected to: after DNS, and again at every redirect.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "wire/ip/address.h"

namespace netserv::auth {

struct AddressRules {
  // Exceptions by the operator to what is refused below; the node's own addresses stay refused.
  std::vector<Prefix> allowed;
  // The node's own and its management addresses.
  std::vector<Prefix> own;
  bool operator==(const AddressRules&) const = default;
};

// Why not, in words; nothing if the address is fine. IPv4 addresses inside IPv6 ones (mapped, NAT64, 6to4) are
// judged as IPv4.
std::optional<std::string> refuse_address(const IpAddress& address, const AddressRules& rules);

}  // namespace netserv::auth
