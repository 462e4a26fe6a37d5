#include "config/config.h"

#include <gtest/gtest.h>

namespace netserv::config {
namespace {

std::string error_of(const std::string& text) {
  auto r = parse(text, "f.toml");
  return r ? "" : r.error().message();
}
const std::string kNode = "[node]\naddress = \"192.0.2.1\"\n";
const std::string kKey = "key = \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n";

TEST(Config, TheExampleIsAcceptedAndPrintsBack) {
  auto c = load(std::string(NETSERV_SOURCE_DIR) + "/packaging/netservd.example.toml");
  ASSERT_TRUE(c) << c.error().message();
  EXPECT_FALSE(c->publishers.empty());
  auto again = parse(print(*c), "printed");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(*again, *c);
}

TEST(Config, EveryFieldPrintsBack) {
  Config c;
  c.node.address = *IpAddress::parse("2001:db8::1");
  c.node.management = {*Prefix::parse("192.0.2.0/24")};
  c.node.withhold = {"udp/1", "tcp/1"};
  c.node.program_folder = "/opt/\"odd\\ one\"";
  c.ncm.mode = 0600;
  c.ncm.require_digest = c.ncm.require_nonce = false;
  c.containers.pool6 = *Prefix::parse("fd00::/64");
  c.metrics.listen = Listen{"::1", 9000};
  c.forwarder = {"/run/f.sock", "xdp", {"eth0", "eth1"}, true, true, 2, {0, 3}};
  c.metrics.refresh_ms = 250;
  c.log_level = LogLevel::kDebug;
  Publisher p;
  p.name = "alice";
  p.key = std::string(43, 'A') + "=";
  p.ports = {5060, 53};
  p.listen = {{"tcp", 80}};
  p.destinations = {*Prefix::parse("10.0.0.0/8"), *Prefix::parse("2001:db8::/32")};
  p.priority = -3;
  p.fail_closed = true;
  p.bandwidth_kbit = 8;
  c.publishers = {p};
  auto again = parse(print(c), "printed");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(*again, c);
}

TEST(Config, ErrorsNameFileAndLine) {
  EXPECT_EQ(error_of(kNode + "[ncm]\nmoed = 1\n"), "f.toml:4: ncm.moed is not known");
  EXPECT_EQ(error_of(kNode + "[helpers]\nparallel = 0\n"), "f.toml:4: helpers.parallel must be a number from 1 to 64");
  EXPECT_EQ(error_of(kNode + "[forwarder]\nworkers = 17\n"), "f.toml:4: forwarder.workers must be a number from 1 to 16");
  EXPECT_EQ(error_of(kNode + "[forwarder]\nworkers = 2\nworker_cores = [1]\n"),
            "f.toml:5: forwarder.worker_cores must name a core for each worker, or none");
  EXPECT_EQ(error_of(kNode + "[forwarder]\nplane = \"click\"\n"), "f.toml:4: forwarder.plane must be auto, xdp or netfilter");
  EXPECT_EQ(error_of(kNode + "[metrics]\nlisten = \"here\"\n"), "f.toml:4: metrics.listen: \"here\" is not ADDRESS:PORT");
  EXPECT_EQ(error_of(kNode + "[[publisher]]\nname = \"a\"\n"), "f.toml:3: publisher.key is missing");
  EXPECT_EQ(error_of(kNode + "[[publisher]]\nname = \"a/b\"\n" + kKey),
            "f.toml:4: publisher.name must be letters, digits, '-', '_' and '.'");
  EXPECT_EQ(error_of(kNode + "[[publisher]]\nname = \"a\"\n" + kKey + "[[publisher]]\nname = \"a\"\n" + kKey),
            "f.toml:7: publisher.name \"a\" is there twice");
  EXPECT_EQ(error_of(kNode + "cache_folder = \"/run/netserv\"\n"), "f.toml:3: node.cache_folder must differ from state_folder and run_folder");
  EXPECT_EQ(error_of(kNode + "[extra]\n").substr(0, 9), "f.toml:3:");
  EXPECT_EQ(error_of("x = ").substr(0, 9), "f.toml:1:");
  EXPECT_NE(error_of("").find("[node]"), std::string::npos);
}

TEST(Config, ATypoIsNoReasonToDie) {
  for (const char* text : {"[!publisher]\n", "[", "[\x01]\n", "a.=1\n", "=1\n", "[[\n", "\u00e9 = 1\n", "\ufef7"}) EXPECT_FALSE(error_of(text).empty()) << text;
}

TEST(Config, AReloadTakesPublishersAndLimitsAndNamesTheRest) {
  Config running = *parse(kNode, "f");
  Config fresh = *parse(kNode + "[helpers]\nparallel = 5\n[containers]\nidle_seconds = 5\n[log]\nlevel = \"debug\"\n[[publisher]]\nname = \"a\"\n" + kKey, "f");
  std::vector<std::string> ignored;
  Config out = reloaded(running, fresh, ignored);
  EXPECT_EQ(out.publishers.size(), 1u);
  EXPECT_EQ(out.helpers.parallel, 5u);
  EXPECT_EQ(out.log_level, LogLevel::kDebug);
  EXPECT_EQ(out.containers.idle_seconds, 60u);
  EXPECT_EQ(ignored, std::vector<std::string>{"containers"});
}

}  // namespace
}  // namespace netserv::config
