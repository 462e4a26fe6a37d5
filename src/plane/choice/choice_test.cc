#include "plane/choice/choice.h"

#include <gtest/gtest.h>

namespace netserv::plane {
namespace {

InterfaceFacts ethernet(const char* name) { return {name, true, true, true, ""}; }

HostFacts router() {
  HostFacts facts;
  facts.interfaces = {{"lo", false, true, true, ""}, ethernet("eth0"), ethernet("eth1"),
                      {"eth2", true, false, true, ""},     // down
                      {"eth3", true, true, false, ""}};    // in a bridge, or a container's
  return facts;
}

// "PLANE IF,IF: reason", or "error: text".
std::string choose(const PlaneWish& wish, const HostFacts& facts) {
  auto choice = choose_plane(wish, facts);
  if (!choice) return "error: " + choice.error().message();
  std::string interfaces;
  for (const std::string& i : choice->interfaces) interfaces += (interfaces.empty() ? " " : ",") + i;
  return std::string(to_string(choice->plane)) + interfaces + ": " + choice->reason;
}

TEST(PlaneChoice, AutoTakesXdpOnAllThatIsRoutedByWhereNothingIsInItsWay) {
  EXPECT_EQ(choose({}, router()), "xdp eth0,eth1: no forward rules, NAT or qdiscs in its way");
  EXPECT_EQ(choose({PlaneKind::kAuto, {"eth3"}, false}, router()), "xdp eth3: no forward rules, NAT or qdiscs in its way");
}

TEST(PlaneChoice, WhatAutoDoesNotGoAround) {
  struct Row {
    RuleFacts rule;
    std::string qdisc;  // of eth1
    std::string around;
  };
  const std::vector<Row> rows{
      {{"iptables filter FORWARD", 1, "", ""}, "", "iptables filter FORWARD (1 rule)"},
      {{"iptables filter FORWARD", 0, "", ""}, "", "iptables filter FORWARD policy"},
      {{"iptables nat POSTROUTING", 2, "", "eth1"}, "", "iptables nat POSTROUTING (2 rules)"},
      {{"nft netdev ingress of eth0", 4, "eth0", ""}, "", "nft netdev ingress of eth0 (4 rules)"},
      {{"iptables filter FORWARD", 3, "eth0", "docker0"}, "", ""},
      {{"iptables filter FORWARD", 3, "docker0", ""}, "", ""},
      {{"iptables filter FORWARD", 3, "docker0", ""}, "htb", "qdisc htb on eth1"},
      {{"nft inet filter forward", 2, "", ""}, "clsact", "nft inet filter forward (2 rules), qdisc clsact on eth1"},
  };
  for (const Row& row : rows) {
    HostFacts facts = router();
    facts.rules = {row.rule};
    facts.interfaces[2].qdisc = row.qdisc;
    const bool free = row.around.empty();
    EXPECT_EQ(choose({}, facts), free ? "xdp eth0,eth1: no forward rules, NAT or qdiscs in its way"
                                      : "netfilter: xdp would go around " + row.around + "; bypass = true allows that");
    EXPECT_EQ(choose({PlaneKind::kAuto, {}, true}, facts),
              free ? "xdp eth0,eth1: nothing in its way" : "xdp eth0,eth1: bypass = true: goes around " + row.around);
    EXPECT_EQ(choose({PlaneKind::kXdp, {}, false}, facts),
              free ? "xdp eth0,eth1: configured" : "xdp eth0,eth1: configured; goes around " + row.around);
    EXPECT_EQ(choose({PlaneKind::kNetfilter, {}, true}, facts), "netfilter: configured");
  }
}

TEST(PlaneChoice, AQdiscOnAnInterfaceThatIsNotUsedDoesNotMatter) {
  HostFacts facts = router();
  facts.interfaces[3].qdisc = "htb";
  EXPECT_EQ(choose({}, facts).substr(0, 14), "xdp eth0,eth1:");
}

TEST(PlaneChoice, AStrictReversePathFilterIsNotGoneAround) {
  HostFacts facts = router();
  facts.interfaces[1].strict_reverse_path = true;
  EXPECT_EQ(choose({}, facts), "netfilter: xdp would go around strict rp_filter on eth0; bypass = true allows that");
  EXPECT_EQ(choose({PlaneKind::kAuto, {"eth1"}, false}, facts).substr(0, 9), "xdp eth1:");
}

TEST(PlaneChoice, AutoFallsBackToNetfilter) {
  HostFacts facts = router();
  facts.xdp_problem = "eth0: another XDP program is attached";
  EXPECT_EQ(choose({}, facts), "netfilter: xdp does not work here: eth0: another XDP program is attached");
  EXPECT_EQ(choose({PlaneKind::kXdp, {}, false}, facts), "error: plane xdp: eth0: another XDP program is attached");
  EXPECT_EQ(choose({}, {}), "netfilter: no Ethernet interface with an address is up");
}

TEST(PlaneChoice, WhatIsNotKnownIsNotGoneAround) {
  HostFacts facts = router();
  facts.unknown = "nftables: Operation not permitted";
  EXPECT_EQ(choose({}, facts), "netfilter: what xdp would go around can't be told: nftables: Operation not permitted");
  EXPECT_EQ(choose({PlaneKind::kAuto, {}, true}, facts), "xdp eth0,eth1: nothing in its way");
}

TEST(PlaneChoice, InterfacesThatAreNotThere) {
  EXPECT_EQ(choose({PlaneKind::kXdp, {"eth9"}, false}, router()), "error: eth9: no such interface");
  EXPECT_EQ(choose({PlaneKind::kAuto, {"eth0", "eth9"}, false}, router()), "error: eth9: no such interface");
  EXPECT_EQ(choose({PlaneKind::kXdp, {}, false}, {}).substr(0, 6), "error:");
}

}  // namespace
}  // namespace netserv::plane
