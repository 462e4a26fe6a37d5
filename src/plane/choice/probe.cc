#include "plane/choice/probe.h"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
// After the C library's own, which they then don't repeat.
#include <linux/if_packet.h>
#include <linux/netfilter.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <map>
#include <memory>
#include <set>

#include "plane/choice/netlink.h"
#include "plane/choice/saved_rules.h"
#include "sys/run_tool.h"

namespace netserv::plane {
namespace {

void not_known(HostFacts& facts, const std::string& what) {
  if (facts.unknown.empty()) facts.unknown = what;
}

bool beyond_link(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    auto a = ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr);
    return a >> 16 != 0xa9fe;  // 169.254.0.0/16
  }
  return address.sa_family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
}

std::string first_word(const std::string& path) {
  std::string word;
  std::ifstream(path) >> word;
  return word;
}

void probe_interfaces(HostFacts& facts) {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return not_known(facts, fail_errno("interfaces", "getifaddrs", errno).value().message());
  std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> list(first, ::freeifaddrs);
  std::map<std::string, InterfaceFacts> found;
  for (const ifaddrs* i = first; i != nullptr; i = i->ifa_next) {
    if (i->ifa_addr == nullptr) continue;
    InterfaceFacts& interface = found[i->ifa_name];
    interface.name = i->ifa_name;
    interface.up = (i->ifa_flags & IFF_UP) != 0;
    if (i->ifa_addr->sa_family == AF_PACKET)
      interface.ethernet = reinterpret_cast<const sockaddr_ll&>(*i->ifa_addr).sll_hatype == ARPHRD_ETHER;
    else if (beyond_link(*i->ifa_addr))
      interface.has_address = true;
  }
  auto qdiscs = dump_qdiscs();
  if (!qdiscs) not_known(facts, qdiscs.error().message());
  const std::set<std::string> defaults{"noqueue", "noop", "mq", "pfifo_fast", "fq_codel", "fq", "pfifo",
                                       first_word("/proc/sys/net/core/default_qdisc")};
  const std::string for_all = first_word("/proc/sys/net/ipv4/conf/all/rp_filter");
  for (auto& [name, interface] : found) {
    // The kernel takes the higher of the two.
    interface.strict_reverse_path = std::max(for_all, first_word("/proc/sys/net/ipv4/conf/" + name + "/rp_filter")) == "1";
    if (qdiscs) {
      auto [at, end] = qdiscs->equal_range(::if_nametoindex(name.c_str()));
      for (; at != end; ++at)
        if (!defaults.contains(at->second)) interface.qdisc = at->second;
    }
    facts.interfaces.push_back(interface);
  }
}

// Tables of the legacy tools, which exist once somebody has asked for them.
bool legacy_tables(const std::string& family) {
  return !first_word(family == "iptables" ? "/proc/net/ip_tables_names" : "/proc/net/ip6_tables_names").empty();
}

bool of_iptables(const NftChain& chain) {
  static const std::set<std::string> tables{"filter", "nat", "mangle", "raw", "security"};
  static const std::set<std::string> chains{"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"};
  return (chain.family == NFPROTO_IPV4 || chain.family == NFPROTO_IPV6) && tables.contains(chain.table) &&
         chains.contains(chain.name);
}

void probe_tool(HostFacts& facts, const std::string& family, const std::string& tool) {
  auto saved = sys::run_tool(tool, {});
  if (!saved || !saved->ok()) {
    return not_known(facts, fmt::format("{}: {}", tool, saved ? saved->err.substr(0, saved->err.find('\n')) : saved.error().message()));
  }
  for (RuleFacts& rule : saved_rules(family, saved->out)) facts.rules.push_back(std::move(rule));
}

void probe_rules(HostFacts& facts) {
  for (const std::string family : {"iptables", "ip6tables"})
    if (legacy_tables(family)) probe_tool(facts, family, family + "-legacy-save");
  auto chains = dump_nft_chains();
  if (!chains) return not_known(facts, chains.error().message());
  std::set<std::string> of_tools;
  for (const NftChain& c : *chains) {
    static constexpr std::array kHooks{"prerouting", "input", "forward", "output", "postrouting", "ingress"};
    const bool device = c.family == NFPROTO_NETDEV;
    const bool routed = device || c.family == NFPROTO_INET || c.family == NFPROTO_IPV4 || c.family == NFPROTO_IPV6;
    if (!routed || (!device && (c.hook == NF_INET_LOCAL_IN || c.hook == NF_INET_LOCAL_OUT))) continue;
    if (c.rules == 0 && c.accepts) continue;
    if (of_iptables(c)) {  // NetServ's own rules may be all that is there: look closer
      of_tools.insert(c.family == NFPROTO_IPV4 ? "iptables" : "ip6tables");
      continue;
    }
    std::string where = device ? fmt::format("nft netdev {} on {}", c.table, c.device)
                               : fmt::format("nft {} {}", c.table, c.hook < kHooks.size() ? kHooks[c.hook] : c.name.c_str());
    facts.rules.push_back({where, c.rules, c.device, {}});
  }
  for (const std::string& family : of_tools) probe_tool(facts, family, family + "-nft-save");
}

void probe_ipsec(HostFacts& facts) {
  auto policies = dump_ipsec_policies();
  if (!policies) return not_known(facts, policies.error().message());
  if (policies->count > 0) facts.rules.push_back({"ip xfrm policy", policies->count, {}, {}});
  if (policies->blocks_others) facts.rules.push_back({"ip xfrm default", 0, {}, {}});
}

}  // namespace

HostFacts probe_host() {
  HostFacts facts;
  probe_interfaces(facts);
  probe_rules(facts);
  probe_ipsec(facts);
  return facts;
}

}  // namespace netserv::plane
