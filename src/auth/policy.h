// What a publisher may do on this node, and the decision whether a SETUP keeps to it. Pure: the configuration
// gives the policy, the controller the facts; a Grant is what the controller may then put into effect.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "auth/address_rules.h"
#include "auth/authenticator.h"
#include "auth/keys.h"
#include "base/ids.h"
#include "base/result.h"
#include "wire/filter.h"
#include "wire/ncm/request.h"

namespace netserv::auth {

struct PortRange {
  std::uint16_t first = 1, last = 65535;
  auto operator<=>(const PortRange&) const = default;
  bool contains(std::uint16_t port) const { return first <= port && port <= last; }
};

struct ResourceLimits {
  unsigned modules = 8;
  std::uint64_t memory_bytes = 64ull << 20;  // of the container
  unsigned cpu_percent = 50;                 // of one core
  unsigned pids = 16;
  std::uint64_t emit_pps = 10'000;           // packets a second that its modules may send
  std::uint64_t bandwidth_bps = 100'000'000; // bits a second of these, and again of what they send over sockets
  std::uint64_t module_bytes = 8ull << 20;   // of one module file
  bool operator==(const ResourceLimits&) const = default;
};

struct PublisherPolicy {
  PublisherId name;
  PublicKey key;
  bool disabled = false;
  std::vector<Prefix> prefixes;     // destinations whose traffic it may have filtered
  // Destination ports it may filter; a filter without a port needs this list to be empty (any).
  std::vector<PortRange> filter_ports;
  std::vector<PortRange> listen_ports;  // for server modules; enforced where they listen
  std::optional<std::set<std::string>> blocks;  // "packet/1"; absent: every block of the node
  ResourceLimits limits;
  std::chrono::seconds max_ttl{24 * 3600};
  unsigned max_filters = 64;        // of one module
  bool fail_closed = false;         // may ask for netserv.fail=closed
  std::vector<Prefix> egress;       // where its containers may open connections to
  std::vector<Prefix> private_ranges;  // non-public addresses that url and notification may lead to
  int priority = 0;                 // lower: visited earlier when several publishers' filters match
  bool operator==(const PublisherPolicy&) const = default;
};

// What the controller knows at the moment of the request.
struct NodeFacts {
  std::vector<Prefix> own_addresses;  // the node's and its management's, each /32, /128 or wider
  std::set<std::string> blocks;       // building blocks on this node, "packet/1"
  unsigned modules_installed = 0;     // of this publisher, without the one that the SETUP names
  bool draining = false;
};

struct Grant {
  PublisherId publisher;
  ncm::ModuleName module;
  std::vector<Filter> filters;        // every one with a destination inside the publisher's prefixes
  std::vector<Prefix> authorised;     // the publisher's prefixes: what its modules may send as
  std::vector<std::string> blocks;
  ncm::Properties properties;
  ResourceLimits limits;
  std::chrono::seconds ttl{};
  int priority = 0;
  AddressRules addresses;             // for url and notification
  bool operator==(const Grant&) const = default;
};

inline constexpr std::uint16_t kSignallingPort = 270;  // GIST's Q-mode (RFC 5971)

// Refusals carry a code and name the header and the rule. A filter that names UDP 270, or destinations that are
// the node's own alone, is refused; a wider one that merely includes them is granted, and the forwarding plane
// never classifies that traffic.
Result<Grant> authorise(const Authenticated<ncm::Setup>& setup, const PublisherPolicy& policy, const NodeFacts& facts);

// What an accepted SETUP was granted and goes on using.
struct InUse {
  std::vector<Filter> filters;
  std::vector<std::string> blocks;  // "packet/1"
  bool fail_closed = false;
  std::string notification;         // URL or empty
};

// The same rules again, for a module that is on the node when its publisher's policy changes. How many modules there
// are is left out: that is not said of one of them.
Status still_allowed(const InUse& module, const PublisherPolicy& policy, const NodeFacts& facts);

}  // namespace netserv::auth
