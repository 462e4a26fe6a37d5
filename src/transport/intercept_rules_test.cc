#include "transport/intercept_rules.h"

#include <gmock/gmock.h>

namespace netserv::transport {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(InterceptRules, TakeForwardedSignallingOnly) {
  const std::string batch = install_gist_rules({8101, true, {}, {"wan0"}, {}}, IpVersion::kV4);
  EXPECT_THAT(batch, HasSubstr("-A NETSERV-GIST -m addrtype --dst-type LOCAL -j RETURN\n"));
  EXPECT_THAT(batch, HasSubstr("-A NETSERV-GIST -i wan0 -j RETURN\n"));
  EXPECT_THAT(batch, HasSubstr("-A NETSERV-GIST -p udp -m udp --dport 270 -j NFQUEUE --queue-num 8101 --queue-bypass\n"));
  EXPECT_THAT(batch, HasSubstr("-A PREROUTING -j NETSERV-GIST\nCOMMIT\n"));
}

TEST(InterceptRules, CanBeOfSingleInterfaces) {
  const std::string batch = install_gist_rules({9, false, {"eth1"}, {}, {}}, IpVersion::kV4);
  EXPECT_THAT(batch, HasSubstr("-i eth1 -p udp"));
  EXPECT_THAT(batch, Not(HasSubstr("GIST -p udp")));
}

TEST(InterceptRules, AreRemovedByNameAlone) {
  EXPECT_EQ(remove_gist_rules("mangle", "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -j MARK\nCOMMIT\n"), "");
  EXPECT_EQ(remove_gist_rules("mangle", "*mangle\n:PREROUTING ACCEPT [0:0]\n:NETSERV-GIST - [0:0]\n:MINE - [0:0]\n"
                              "-A PREROUTING -j MINE\n-A PREROUTING -j NETSERV-GIST\nCOMMIT\n"),
            "*mangle\n-D PREROUTING -j NETSERV-GIST\n-F NETSERV-GIST\n-X NETSERV-GIST\nCOMMIT\n");
}

TEST(InterceptRules, OfANatTakeWhatComesToItsAddressFirst) {
  const InterceptOptions options{7, true, {}, {}, {IpAddress::v4(0xc6336401)}};
  const std::string v4 = install_gist_rules(options, IpVersion::kV4);
  EXPECT_LT(v4.find("-d 198.51.100.1 -p udp -m udp --dport 270 -j NFQUEUE --queue-num 7"), v4.find("--dst-type LOCAL"));
  EXPECT_THAT(v4, HasSubstr("*raw\n:NETSERV-GIST"));
  EXPECT_THAT(install_gist_rules(options, IpVersion::kV6), Not(HasSubstr("*raw")));
  EXPECT_EQ(remove_gist_rules("raw", "*raw\n:NETSERV-GIST - [0:0]\n-A OUTPUT -j NETSERV-GIST\nCOMMIT\n"),
            "*raw\n-D OUTPUT -j NETSERV-GIST\n-F NETSERV-GIST\n-X NETSERV-GIST\nCOMMIT\n");
}

}  // namespace
}  // namespace netserv::transport
