// The netfilter rules that bring forwarded GIST packets to our queue: one chain, NETSERV-GIST, in the mangle table,
// and one jump to it from PREROUTING; on a NAT another of that name in the raw table, from OUTPUT. Removed by name only;
// nothing else is touched. Needs CAP_NET_ADMIN.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/ip/address.h"

namespace netserv::transport {

inline constexpr std::string_view kGistChain = "NETSERV-GIST";

struct InterceptOptions {
  std::uint16_t queue = 8099;  // the forwarder has those from 8100 on
  bool everywhere = true;               // all interfaces, else those named
  std::vector<std::string> interfaces;  // by packet filter on UDP port 270; the magic number is looked at later
  std::vector<std::string> excluded;    // with `everywhere`
  std::vector<IpAddress> nat;           // of a NAT: what comes to these is taken too, before it is translated
  bool any() const { return everywhere || !interfaces.empty(); }
};

enum class IpVersion : std::uint8_t { kV4, kV6 };

// For iptables-restore --noflush. Pure.
std::string install_gist_rules(const InterceptOptions& options, IpVersion version);
// From iptables-save's output of one table: what takes away ours; empty if there is nothing. Pure.
std::string remove_gist_rules(std::string_view table, std::string_view saved);

// Takes away what earlier runs left behind, in every variant of the tools.
Status clean_gist_rules();
// Call clean_gist_rules() before.
Status place_gist_rules(const InterceptOptions& options);

}  // namespace netserv::transport
