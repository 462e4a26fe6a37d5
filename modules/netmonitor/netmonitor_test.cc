// The module as the node calls it, and its datagrams as a visualizer reads them.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "netmonitor/report.h"
#include "netmonitor/table.h"
#include "testing/fake_blocks.h"

extern "C" {
std::int32_t netserv_start();
void netserv_process(std::int32_t count);
void netserv_timer(std::int32_t id);
void netserv_properties();
extern const char netserv_manifest[];
}

namespace netmonitor {
namespace {

using netserv::testing::blocks;
using netserv::testing::packet_bytes;
using netserv::testing::place_packet;
using nlohmann::json;

std::string ipv4(unsigned source, unsigned destination, unsigned ttl) {
  std::string p(28, '\0');
  p[0] = 0x45;
  p[3] = 28;
  p[8] = static_cast<char>(ttl);
  p[9] = 17;
  for (int i = 0; i < 4; i++) {
    p[12 + static_cast<unsigned>(i)] = static_cast<char>(source >> (24 - 8 * i));
    p[16 + static_cast<unsigned>(i)] = static_cast<char>(destination >> (24 - 8 * i));
  }
  return p;
}
std::string ipv6(char last) {
  std::string p(48, '\0');
  p[0] = 0x60;
  p[7] = 9;
  p[8] = 0x20;
  p[23] = last;
  p[24] = 0x30;
  return p;
}

class NetMonitor : public ::testing::Test {
 protected:
  // The module's table lives as long as the program, so each test uses addresses of its own.
  void SetUp() override {
    netserv::testing::reset_blocks();
    blocks().properties = {{"visualizer_ip", "192.0.2.9"}, {"visualizer_port", "5678"}};
    ASSERT_EQ(netserv_start(), 0);
    netserv_timer(0);
    blocks().sent.clear();
  }
  void see(const std::string& packet, int times = 1) {
    for (int i = 0; i < times; i++) {
      netserv_packet& p = place_packet(0, packet);
      netserv_process(1);
      ASSERT_EQ(p.verdict, NETSERV_PASS);
      ASSERT_EQ(p.changed, 0);
      ASSERT_EQ(packet_bytes(p), packet);
    }
  }
  // The counts of all datagrams of one report.
  json report() {
    blocks().sent.clear();
    netserv_timer(0);
    json counts = json::array();
    for (const auto& datagram : blocks().sent) {
      json parsed = json::parse(datagram.data);
      for (const auto& row : parsed["counts"]) counts.push_back(row);
    }
    return counts;
  }
};

TEST_F(NetMonitor, ManifestIsJson) {
  json manifest = json::parse(netserv_manifest);
  EXPECT_EQ(manifest["name"], "NetServ.apps.NetMonitor");
  EXPECT_EQ(manifest["observer"], true);
}

TEST_F(NetMonitor, AsksForAReportEveryHalfSecond) {
  EXPECT_EQ(blocks().timers.at(0).after_ns, 500'000'000u);
  EXPECT_EQ(blocks().timers.at(0).repeat_ns, 500'000'000u);
}

TEST_F(NetMonitor, TellsOfCopiesThatItDidNotGet) {
  netserv_packet& p = place_packet(0, ipv4(1, 2, 3));
  p.lost = 7;
  netserv_process(1);
  report();
  ASSERT_EQ(blocks().sent.size(), 1u);
  EXPECT_EQ(json::parse(blocks().sent[0].data)["lost"], 7);
}

TEST_F(NetMonitor, CountsBySourceDestinationAndTtl) {
  see(ipv4(0xc0000201, 0xc6336407, 63), 3);
  see(ipv4(0xc0000201, 0xc6336407, 62), 2);
  see(ipv4(0xc0000202, 0xc6336407, 63), 1);
  see(ipv6(7), 4);
  json counts = report();
  std::set<json> rows(counts.begin(), counts.end());
  EXPECT_EQ(rows, (std::set<json>{json::array({"192.0.2.1", "198.51.100.7", 63, 3}),
                                  json::array({"192.0.2.1", "198.51.100.7", 62, 2}),
                                  json::array({"192.0.2.2", "198.51.100.7", 63, 1}),
                                  json::array({"2000::7", "3000::", 9, 4})}));
  ASSERT_EQ(blocks().sent.size(), 1u);
  EXPECT_EQ(blocks().sent[0].to.port, 5678);
  EXPECT_EQ(blocks().sent[0].to.family, 4);
  EXPECT_EQ(blocks().sent[0].to.bytes[3], 9);
}

TEST_F(NetMonitor, ReportsWhatGrewAndASignOfLifeOtherwise) {
  see(ipv4(0x0a000001, 1, 5), 2);
  EXPECT_EQ(report(), json::array({json::array({"10.0.0.1", "0.0.0.1", 5, 2})}));
  EXPECT_EQ(report(), json::array());
  ASSERT_EQ(blocks().sent.size(), 1u);
  EXPECT_EQ(json::parse(blocks().sent[0].data)["last"], true);
  see(ipv4(0x0a000001, 1, 5));
  EXPECT_EQ(report(), json::array({json::array({"10.0.0.1", "0.0.0.1", 5, 3})}));
}

TEST_F(NetMonitor, ForgetsWhatIsSilentForAMinute) {
  see(ipv4(0x0a000002, 1, 5), 9);
  for (unsigned i = 0; i <= kForgetAfter; i++) report();
  see(ipv4(0x0a000002, 1, 5));
  EXPECT_EQ(report(), json::array({json::array({"10.0.0.2", "0.0.0.1", 5, 1})}));
}

TEST_F(NetMonitor, AsManyDatagramsAsItTakes) {
  for (unsigned i = 0; i < 300; i++) see(ipv4(0x0b000000 + i, 0xffffffff, 255));
  EXPECT_EQ(report().size(), 300u);
  ASSERT_GT(blocks().sent.size(), 3u);
  for (std::size_t i = 0; i < blocks().sent.size(); i++) {
    EXPECT_LE(blocks().sent[i].data.size(), kDatagramMax);
    json datagram = json::parse(blocks().sent[i].data);
    EXPECT_EQ(datagram["part"], i);
    EXPECT_EQ(datagram["last"], i + 1 == blocks().sent.size());
  }
}

TEST_F(NetMonitor, WhatCouldNotBeSentComesLater) {
  for (unsigned i = 0; i < 300; i++) see(ipv4(0x0c000000 + i, 1, 1));
  blocks().sends_before_eagain = 0;
  EXPECT_EQ(report().size(), 0u);
  blocks().sends_before_eagain = -1;
  EXPECT_GT(report().size(), 200u);
  EXPECT_EQ(blocks().counters["send_errors"], 1u);
}

TEST_F(NetMonitor, AFullTableOverflowsAndIsCounted) {
  for (unsigned i = 0; i < 20000; i++) see(ipv4(0x0d000000 + i, i * 7919, 1));
  netserv_timer(0);
  json datagram = json::parse(blocks().sent.back().data);
  EXPECT_GT(datagram["overflow"], 20000 - 4096 - 1);
  EXPECT_GE(datagram["packets"], 20000);
  EXPECT_GT(blocks().counters["overflow"], 0u);
  for (unsigned i = 0; i <= kForgetAfter; i++) report();
}

TEST_F(NetMonitor, OddPacketsAreCountedAsOverflow) {
  netserv_timer(0);
  auto before = blocks().counters["overflow"];
  for (const std::string& odd : {std::string(), std::string("\x45"), std::string(19, '\x45'), std::string(39, '\x60'),
                                 std::string(64, '\x50')})
    see(odd);
  netserv_timer(0);
  EXPECT_EQ(blocks().counters["overflow"] - before, 5u);
}

TEST_F(NetMonitor, WithoutAVisualizerItOnlyCounts) {
  blocks().properties.clear();
  netserv_properties();
  see(ipv4(1, 2, 3));
  EXPECT_EQ(report(), json::array());
  EXPECT_TRUE(blocks().sent.empty());
}

TEST_F(NetMonitor, VisualizerMayMoveToIpv6) {
  blocks().properties = {{"visualizer_ip", "2001:db8::9"}, {"visualizer_port", "1"}};
  netserv_properties();
  report();
  ASSERT_EQ(blocks().sent.size(), 1u);
  EXPECT_EQ(blocks().sent[0].to.family, 6);
  EXPECT_EQ(blocks().sockets.size(), 1u);
}

TEST_F(NetMonitor, BadPropertiesFailTheStart) {
  for (auto [ip, port] : {std::pair<const char*, const char*>{"1.2.3", "1"}, {"1.2.3.4", "0"}, {"1.2.3.4", "65536"},
                          {"1.2.3.4", "x"}, {"host.example.com", "1"}}) {
    blocks().properties = {{"visualizer_ip", ip}, {"visualizer_port", port}};
    EXPECT_NE(netserv_start(), 0) << ip << " " << port;
  }
  blocks().properties = {{"visualizer_ip", "1.2.3.4"}};
  EXPECT_NE(netserv_start(), 0);
  EXPECT_EQ(blocks().log.size(), 6u);
}

}  // namespace
}  // namespace netmonitor
