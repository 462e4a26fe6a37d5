// The netfilter rules that bring forwarded GIST packets to our queue: one chain, NETSERV-GIST, in the mangle table,
// and one jump to it from PREROUTING. Removed by name only; nothing else is touched. Needs CAP_NET_ADMIN.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace netserv::transport {

inline constexpr std::string_view kGistChain = "NETSERV-GIST";

struct InterceptOptions {
  std::uint16_t queue = 8101;
  bool everywhere = true;               // all interfaces, else those named
  std::vector<std::string> interfaces;  // by packet filter on UDP port 270; the magic number is looked at later
  std::vector<std::string> excluded;    // with `everywhere`
  bool any() const { return everywhere || !interfaces.empty(); }
};

// For iptables-restore --noflush. Pure.
std::string install_gist_rules(const InterceptOptions& options);
// From iptables-save's output: what takes away ours; empty if there is nothing. Pure.
std::string remove_gist_rules(std::string_view saved_mangle_table);

// Takes away what earlier runs left behind, in every variant of the tools.
Status clean_gist_rules();
// Call clean_gist_rules() before.
Status place_gist_rules(const InterceptOptions& options);

}  // namespace netserv::transport
