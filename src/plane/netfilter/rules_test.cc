#include "plane/netfilter/rules.h"

#include <gmock/gmock.h>

namespace netserv::plane {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Rules, OneRuleAFilterInItsIpVersion) {
  std::vector<Filter> filters = {{kProtocolUdp, 5060, {}, *Prefix::parse("10.0.2.0/24")},
                                 {{}, 80, *Prefix::parse("2001:db8::/32"), {}},
                                 {kProtocolTcp, {}, {}, {}}};
  std::string v4 = install_batch({filters, {}}, IpVersion::kV4, Jump::kAdd, {7, 0x10, 256});
  EXPECT_THAT(v4, HasSubstr("*mangle\n:NETSERV-MATCH - [0:0]\n"));
  EXPECT_THAT(v4, HasSubstr("-A NETSERV-MATCH -d 10.0.2.0/24 -p 17 -m udp --dport 5060 -m mark ! --mark 0x10 -m addrtype ! --dst-type "
                            "LOCAL,MULTICAST,BROADCAST -j NFQUEUE --queue-num 7 --queue-bypass\n"));
  EXPECT_THAT(v4, HasSubstr("-A NETSERV-MATCH -p 6 -m mark"));
  EXPECT_THAT(v4, HasSubstr("-A PREROUTING -j NETSERV-MATCH\nCOMMIT\n"));
  EXPECT_THAT(v4, HasSubstr("--dport 270 -j RETURN\n"));  // since whatever is TCP is wanted
  EXPECT_THAT(v4, Not(HasSubstr("2001")));
  std::string v6 = install_batch({filters, {}}, IpVersion::kV6, Jump::kPresent, {});
  EXPECT_THAT(v6, HasSubstr("-s 2001:db8::/32 -p 6 -m tcp --dport 80"));
  EXPECT_THAT(v6, HasSubstr("-s 2001:db8::/32 -p 17 -m udp --dport 80"));
  EXPECT_THAT(v6, HasSubstr("-A NETSERV-MATCH -d ff00::/8 -j RETURN\n-A NETSERV-MATCH -d fe80::/10 -j RETURN\n"));
  EXPECT_THAT(v6, HasSubstr("-m addrtype ! --dst-type LOCAL -j NFQUEUE"));
  EXPECT_THAT(v6, Not(HasSubstr("PREROUTING")));
}

TEST(Rules, FiltersWithPortsLeaveSignallingAlone) {
  RuleSet set{{{kProtocolUdp, 5060, {}, {}}, {kProtocolTcp, 80, {}, {}}}, {}};
  for (IpVersion version : {IpVersion::kV4, IpVersion::kV6})
    EXPECT_THAT(install_batch(set, version, Jump::kPresent, {}), Not(HasSubstr("270")));
  set.queued.push_back({kProtocolUdp, {}, {}, {}});
  EXPECT_THAT(install_batch(set, IpVersion::kV4, Jump::kPresent, {}), HasSubstr("--dport 270 -j RETURN\n"));
}

TEST(Rules, SeveralQueuesAreBalancedAndBypassed) {
  std::string batch = install_batch({{{kProtocolUdp, 5060, {}, {}}}, {}}, IpVersion::kV4, Jump::kPresent, {7, 0x10, 256, 3});
  EXPECT_THAT(batch, HasSubstr(" -j NFQUEUE --queue-balance 7:9 --queue-bypass\n"));
  EXPECT_THAT(batch, Not(HasSubstr("--queue-num")));
}

TEST(Rules, FailClosedHasExactRulesAndAQueueThatIsNotBypassed) {
  RuleSet set;
  for (unsigned i = 0; i < 300; ++i) set.queued.push_back({kProtocolUdp, 5060, {}, Prefix(IpAddress::v4(i << 8), 24)});
  set.closed = {{kProtocolUdp, 5061, {}, *Prefix::parse("10.0.2.0/24")}};
  std::string batch = install_batch(set, IpVersion::kV4, Jump::kPresent, {7, 0x10, 256, 2});
  std::size_t closed = batch.find("-A NETSERV-MATCH -d 10.0.2.0/24 -p 17 -m udp --dport 5061 -m mark ! --mark 0x10 -m addrtype ! "
                                  "--dst-type LOCAL,MULTICAST,BROADCAST -j NFQUEUE --queue-balance 9:10\n");
  ASSERT_NE(closed, batch.npos);
  EXPECT_LT(closed, batch.find("--dport 5060"));  // a packet of both is rather dropped
}

TEST(Rules, CoarserBeyondTheLimit) {
  std::vector<Filter> filters;
  for (unsigned i = 0; i < 300; ++i)
    filters.push_back({kProtocolUdp, static_cast<std::uint16_t>(5000 + i % 2), {}, Prefix(IpAddress::v4(i << 8), 24)});
  std::string batch = install_batch({filters, {}}, IpVersion::kV4, Jump::kPresent, {});
  EXPECT_THAT(batch, HasSubstr("-A NETSERV-MATCH -p 17 -m udp --dport 5000 -m mark"));
  EXPECT_THAT(batch, HasSubstr("-A NETSERV-MATCH -p 17 -m udp --dport 5001 -m mark"));
  EXPECT_THAT(batch, Not(HasSubstr("/24")));
}

TEST(Rules, ObserversPacketsAreCopiedOnceByTheLeastSampling) {
  Filter udp{kProtocolUdp, {}, {}, {}}, sip{kProtocolUdp, 5060, {}, *Prefix::parse("10.0.2.0/24")};
  std::string batch = install_batch({{sip}, {{sip, true, 40, 1}, {udp, true, 300, 10}}}, IpVersion::kV4, Jump::kPresent, {});
  const std::string forwarded = " -m mark ! --mark 0x4e53 -m addrtype ! --dst-type LOCAL,MULTICAST,BROADCAST";
  EXPECT_THAT(batch, HasSubstr("--dport 270 -j RETURN\n"
                               "-A NETSERV-MATCH -d 10.0.2.0/24 -p 17 -m udp --dport 5060" + forwarded +
                               " -j NFQUEUE --queue-num 8100 --queue-bypass\n"
                               "-A NETSERV-MATCH -d 10.0.2.0/24 -p 17 -m udp --dport 5060" + forwarded +
                               " -j NFLOG --nflog-group 8100 --nflog-size 300 --nflog-prefix 1\n"
                               "-A NETSERV-MATCH -d 10.0.2.0/24 -p 17 -m udp --dport 5060 -j RETURN\n"
                               "-A NETSERV-MATCH -p 17 -m statistic --mode random --probability 0.1000000000" + forwarded +
                               " -j NFLOG --nflog-group 8100 --nflog-size 300 --nflog-prefix 10\n"
                               "-A NETSERV-MATCH -p 17 -j RETURN\nCOMMIT\n"));
}

TEST(Rules, RemovalNamesOnlyOurs) {
  EXPECT_EQ(removal_batch("*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j OTHER\nCOMMIT\n"), "");
  EXPECT_EQ(removal_batch("*mangle\n:NETSERV-MATCH - [0:0]\n-A PREROUTING -j NETSERV-MATCH\n-A PREROUTING -j "
                          "OTHER\n-A PREROUTING -j NETSERV-MATCH\nCOMMIT\n"),
            "*mangle\n-D PREROUTING -j NETSERV-MATCH\n-D PREROUTING -j NETSERV-MATCH\n-F NETSERV-MATCH\n-X "
            "NETSERV-MATCH\nCOMMIT\n");
}

}  // namespace
}  // namespace netserv::plane
