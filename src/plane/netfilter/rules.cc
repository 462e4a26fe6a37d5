#include "plane/netfilter/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "netserv/abi.h"

namespace netserv::plane {
namespace {

constexpr std::uint32_t kHeadersMost = 128;  // IPv6 with some extensions

bool concerns(const Filter& f, IpVersion version) {
  const auto& any = f.source ? f.source : f.destination;
  return !any || any->address().is_v4() == (version == IpVersion::kV4);
}

std::string match_of(const Filter& f) {
  std::string out;
  if (f.source && f.source->length() > 0) out += fmt::format(" -s {}", f.source->to_string());
  if (f.destination && f.destination->length() > 0) out += fmt::format(" -d {}", f.destination->to_string());
  if (f.protocol) out += fmt::format(" -p {}", *f.protocol);
  if (f.destination_port)
    out += fmt::format(" -m {} --dport {}", f.protocol == kProtocolTcp ? "tcp" : "udp", *f.destination_port);
  return out;
}

// A port without a protocol is two rules, since --dport belongs to one.
void add_matches(const Filter& f, std::set<std::string>& out) {
  if (!f.destination_port || f.protocol) {
    out.insert(match_of(f));
    return;
  }
  for (std::uint8_t protocol : {kProtocolTcp, kProtocolUdp}) {
    Filter one = f;
    one.protocol = protocol;
    out.insert(match_of(one));
  }
}

Filter coarser(Filter f, int level) {
  if (level >= 1) f.source.reset(), f.destination.reset();
  if (level >= 2) f.destination_port.reset();
  if (level >= 3) f.protocol.reset();
  return f;
}

std::set<std::string> matches(const std::vector<Filter>& filters, IpVersion version, std::size_t most) {
  std::set<std::string> out;
  for (int level = 0; level <= 3; ++level) {
    out.clear();
    for (const Filter& f : filters)
      if (concerns(f, version)) add_matches(coarser(f, level), out);
    if (out.size() <= most) break;
  }
  if (out.contains("")) return {""};
  return out;
}

// Filters by the sampling they ask for; all alike if they are too many.
std::map<std::uint32_t, std::vector<Filter>> by_sampling(const std::vector<forward::Wanted>& observed, std::size_t most) {
  std::map<std::uint32_t, std::vector<Filter>> out;
  for (const forward::Wanted& w : observed) out[std::max(1u, w.sample_one_in)].push_back(w.filter);
  if (observed.size() <= most || out.size() == 1) return out;
  std::vector<Filter> all;
  for (const forward::Wanted& w : observed) all.push_back(w.filter);
  return {{out.begin()->first, all}};
}

// What the headers need to be read again, and what the observer that wants the most has asked for.
std::uint32_t snap_length(const std::vector<forward::Wanted>& observed) {
  std::uint32_t longest = kHeadersMost;
  for (const forward::Wanted& w : observed)
    longest = std::max<std::uint32_t>(longest, w.snap_length == 0 ? NETSERV_SLOT_BYTES : w.snap_length);
  return longest;
}

// What a wanted packet must be besides, tested last: neither a module's own, nor for the router itself. The type of an
// address is a route look-up, which packets that nobody wants are spared. IPv6's type match has no "or".
std::string forwarded(IpVersion version, const RuleOptions& o) {
  return fmt::format(" -m mark ! --mark {:#x} -m addrtype ! --dst-type LOCAL{}", o.mark,
                     version == IpVersion::kV4 ? ",MULTICAST,BROADCAST" : "");
}

void add_log_rules(std::string& out, const RuleSet& wanted, IpVersion version, const RuleOptions& o) {
  std::uint32_t size = snap_length(wanted.observed);
  for (const auto& [one_in, filters] : by_sampling(wanted.observed, o.max_rules)) {
    std::string sampled = one_in == 1 ? "" : fmt::format(" -m statistic --mode random --probability {:.10f}", 1.0 / one_in);
    for (const std::string& match : matches(filters, version, o.max_rules)) {
      out += fmt::format("-A {}{}{}{} -j NFLOG --nflog-group {} --nflog-size {} --nflog-prefix {}\n", kChain, match,
                         sampled, forwarded(version, o), o.queue, size, one_in);
      out += fmt::format("-A {}{} -j RETURN\n", kChain, match);  // one copy is enough
    }
  }
}

}  // namespace

std::string install_batch(const RuleSet& set, IpVersion version, Jump jump, const RuleOptions& o) {
  std::string out = fmt::format("*mangle\n:{} - [0:0]\n", kChain);
  auto add = [&](std::string_view rule) { out += fmt::format("-A {}{}\n", kChain, rule); };
  auto queued = matches(set.queued, version, o.max_rules);
  auto closed = matches(set.closed, version, std::numeric_limits<std::size_t>::max());
  auto whatever_port = [](const auto& match) { return match.find("--dport") == std::string::npos; };
  bool signalling = !set.observed.empty() || std::ranges::any_of(queued, whatever_port) || std::ranges::any_of(closed, whatever_port);
  if (version == IpVersion::kV6 && (!queued.empty() || !closed.empty() || !set.observed.empty())) {
    add(" -d ff00::/8 -j RETURN");
    add(" -d fe80::/10 -j RETURN");
  }
  if (signalling) add(" -p udp -m udp --dport 270 -j RETURN");  // gistd's; no filter may name that port
  auto to_queue = [&](const auto& all, std::uint16_t first, std::string_view more) {
    const std::string target = o.queues == 1 ? fmt::format("--queue-num {}", first)
                                             : fmt::format("--queue-balance {}:{}", first, first + o.queues - 1);
    for (const std::string& match : all) add(fmt::format("{}{} -j NFQUEUE {}{}", match, forwarded(version, o), target, more));
  };
  to_queue(closed, o.closed_queue(), "");
  to_queue(queued, o.queue, " --queue-bypass");
  add_log_rules(out, set, version, o);
  if (jump == Jump::kAdd) out += fmt::format("-A PREROUTING -j {}\n", kChain);
  return out + "COMMIT\n";
}

std::string removal_batch(std::string_view saved) {
  std::string declaration = fmt::format(":{} ", kChain);
  std::string jump = fmt::format("-A PREROUTING -j {}", kChain);
  bool chain = false;
  std::string out = "*mangle\n";
  while (!saved.empty()) {
    std::string_view line = saved.substr(0, saved.find('\n'));
    saved.remove_prefix(std::min(saved.size(), line.size() + 1));
    if (line.substr(0, declaration.size()) == declaration) chain = true;
    if (line == jump) out += fmt::format("-D PREROUTING -j {}\n", kChain);
  }
  if (!chain) return {};
  return out + fmt::format("-F {0}\n-X {0}\nCOMMIT\n", kChain);
}

}  // namespace netserv::plane
