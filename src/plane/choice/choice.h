// Which forwarding plane a node takes, decided from facts about the router: pure.
//
// XDP goes around firewall, NAT, conntrack, qdiscs, IPsec and reverse-path filters for the packets that match a filter.
// So `auto` takes it only where none of these is in use (a loose reverse-path filter aside), or where the configuration
// allows it with `bypass = true`; else it takes netfilter, and says why.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace netserv::plane {

enum class PlaneKind : std::uint8_t { kAuto, kXdp, kNetfilter };
std::string_view to_string(PlaneKind kind);
Result<PlaneKind> plane_named(std::string_view name);

// What the operator asks for ([forwarder] in netservd.toml).
struct PlaneWish {
  PlaneKind plane = PlaneKind::kAuto;
  std::vector<std::string> interfaces;  // empty: all that packets are routed by
  bool bypass = false;
  bool operator==(const PlaneWish&) const = default;
};

struct InterfaceFacts {
  std::string name;
  bool ethernet = false;
  bool up = false;
  bool has_address = false;  // other than link-local: containers' and bridged interfaces have none
  std::string qdisc;  // one that somebody chose; empty: the kernel's default
  bool strict_reverse_path = false;  // rp_filter 1; 2, what many distributions set, asks for any route to the source only
  bool operator==(const InterfaceFacts&) const = default;
};

// Rules on forwarded packets, a policy other than accept, or IPsec policies.
struct RuleFacts {
  std::string where;      // "iptables filter FORWARD"
  unsigned count = 0;     // 0: the policy alone
  std::string in, out;    // interfaces that they are about; empty: any
  bool operator==(const RuleFacts&) const = default;
};

struct HostFacts {
  std::vector<InterfaceFacts> interfaces;
  std::vector<RuleFacts> rules;
  std::string unknown;                     // what could not be found out; empty: nothing
  std::optional<std::string> xdp_problem;  // it has been tried, and does not work here
};

struct PlaneChoice {
  PlaneKind plane = PlaneKind::kNetfilter;  // never kAuto
  std::vector<std::string> interfaces;      // of the xdp plane
  std::string reason;                       // for people
  bool operator==(const PlaneChoice&) const = default;
};

// An error if the wish can't be met: xdp without an interface, or with one that is not there.
Result<PlaneChoice> choose_plane(const PlaneWish& wish, const HostFacts& facts);

}  // namespace netserv::plane
