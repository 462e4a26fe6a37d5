#include "lxc/launch_spec.h"

#include <gtest/gtest.h>

namespace netserv::lxc {
namespace {

LaunchSpec full() {
  LaunchSpec s;
  s.name = "pub-1";
  s.state_folder = "/var/lib/netserv/lxc";
  s.run_folder = "/run/netserv/containers/pub-1";
  s.module_folder = "/var/cache/netserv/pub";
  s.program = "/usr/libexec/netserv/netserv-container";
  s.id_base = 200000;
  s.host_interface = "nsv1";
  s.address4 = *IpAddress::parse("10.99.0.1");
  s.address6 = *IpAddress::parse("fd00::1");
  s.network.egress.push_back({*Prefix::parse("192.0.2.0/24"), 17, 4000});
  s.network.egress.push_back({*Prefix::parse("2001:db8::/32"), {}, {}});
  s.network.listen.push_back({6, 80});
  s.network.kbit_per_second = 512;
  return s;
}

TEST(LaunchSpec, PrintAndParseAreInverse) {
  EXPECT_EQ(*parse_launch_spec(print_launch_spec(full())), full());
  EXPECT_EQ(*parse_network_grants(print_network_grants(full().network)), full().network);
}

TEST(LaunchSpec, RefusesWhatWouldReachTheLxcConfiguration) {
  LaunchSpec s = full();
  s.run_folder = "/run/x\nlxc.hook.start-host = /bin/sh";
  auto parsed = parse_launch_spec(print_launch_spec(s));
  ASSERT_FALSE(parsed);
  EXPECT_NE(parsed.error().text.find("run_folder"), std::string::npos);
  s = full();
  s.name = "../x";
  EXPECT_FALSE(parse_launch_spec(print_launch_spec(s)));
}

TEST(LaunchSpec, RefusesRootAsIdBaseUnknownKeysAndWrongTypes) {
  LaunchSpec s = full();
  s.id_base = 0;
  EXPECT_FALSE(parse_launch_spec(print_launch_spec(s)));
  EXPECT_FALSE(parse_launch_spec("{\"nmae\": \"x\"}"));
  EXPECT_FALSE(parse_launch_spec("{\"name\": 3}"));
  EXPECT_FALSE(parse_launch_spec("[1"));
  EXPECT_FALSE(parse_network_grants("{\"egress\": [{\"destination\": \"10.0.0.0/8\", \"port\": 5}]}"));
  EXPECT_FALSE(parse_network_grants("{\"egress\": [{\"protocol\": 17}]}"));
  EXPECT_FALSE(parse_network_grants("{\"kbit_per_second\": 0}"));
}

}  // namespace
}  // namespace netserv::lxc
