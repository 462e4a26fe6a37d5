// The text of our netfilter rules, for iptables-restore: pure, so that it can be looked at in tests.
//
// One chain, NETSERV-MATCH, in the mangle table, and one jump to it at the end of PREROUTING (so the operator's
// own mangle rules there come first). Rules only pick candidates; the forwarder's filter table decides. One rule
// for each distinct filter up to `max_rules` an IP version, beyond that coarser ones; but always one for each that asked
// for fail-closed, since its packets are dropped when nobody takes them. A packet is copied to the log
// group once at most, by the rule with the least sampling, and as long as any observer asks for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "forward/packet_plane.h"
#include "wire/filter.h"

namespace netserv::plane {

inline constexpr std::string_view kChain = "NETSERV-MATCH";

enum class IpVersion : std::uint8_t { kV4, kV6 };
enum class Jump : bool { kPresent, kAdd };

struct RuleOptions {
  std::uint16_t queue = 8100;       // the first of NFQUEUE, and the group of NFLOG
  std::uint32_t mark = 0x4e53;  // of what our raw sockets send: never classified again
  std::size_t max_rules = 256;
  std::uint16_t queues = 1;  // from `queue` on; flows are balanced over them
  // As many, for fail-closed.
  std::uint16_t closed_queue() const { return static_cast<std::uint16_t>(queue + queues); }
};

struct RuleSet {
  std::vector<Filter> queued;            // in a module's path: to the queue
  std::vector<forward::Wanted> observed;  // watched only: copied to the log group, and on their way
  std::vector<Filter> closed;             // in the path of a module whose publisher asked for fail-closed
  bool operator==(const RuleSet&) const = default;
};

// A whole batch that puts the chain in place of the one before, in one step.
std::string install_batch(const RuleSet& wanted, IpVersion version, Jump jump, const RuleOptions& options);

// From iptables-save's output: the batch that takes our chain and all jumps to it away; empty if there are none.
std::string removal_batch(std::string_view saved_mangle_table);

}  // namespace netserv::plane
