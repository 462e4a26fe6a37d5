#include "forward/filter_table.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace netserv::forward {
namespace {

ipc::ModuleFilter on(const Filter& f, unsigned slot = 0) {
  ipc::ModuleFilter m;
  m.filter = f;
  m.slot = ModuleSlot(static_cast<std::uint8_t>(slot));
  return m;
}
Prefix prefix(const char* text) { return *Prefix::parse(text); }
PacketHeaders udp(const char* from, const char* to, std::uint16_t port) {
  PacketHeaders h;
  h.source = *IpAddress::parse(from);
  h.destination = *IpAddress::parse(to);
  h.protocol = kProtocolUdp;
  h.has_ports = true;
  h.destination_port = port;
  return h;
}
std::set<std::uint32_t> lanes(const FilterTable& table, const PacketHeaders& p) {
  std::set<std::uint32_t> out;
  table.match(p, [&](const FilterTable::Target& t) { out.insert(t.lane); });
  return out;
}

TEST(FilterTable, MatchesFieldsAndPrefixes) {
  FilterTable table;
  ASSERT_TRUE(table.replace(0, {on({kProtocolUdp, 5060, {}, prefix("10.0.2.0/24")})}));
  ASSERT_TRUE(table.replace(1, {on({{}, {}, prefix("2001:db8::/32"), {}})}));
  ASSERT_TRUE(table.replace(2, {on({{}, {}, prefix("0.0.0.0/0"), {}})}));
  EXPECT_EQ(lanes(table, udp("10.0.1.2", "10.0.2.2", 5060)), (std::set<std::uint32_t>{0, 2}));
  EXPECT_EQ(lanes(table, udp("10.0.1.2", "10.0.3.2", 5060)), (std::set<std::uint32_t>{2}));
  EXPECT_EQ(lanes(table, udp("2001:db8::1", "::1", 5060)), (std::set<std::uint32_t>{1}));
  PacketHeaders no_ports = udp("10.0.1.2", "10.0.2.2", 0);
  no_ports.has_ports = false;
  EXPECT_EQ(lanes(table, no_ports), (std::set<std::uint32_t>{2}));
  ASSERT_TRUE(table.replace(2, {}));
  EXPECT_TRUE(lanes(table, no_ports).empty());
}

TEST(FilterTable, RefusesContradictionsAndChangesNothing) {
  FilterTable table;
  ASSERT_TRUE(table.replace(0, {on({kProtocolUdp, 53, {}, {}})}));
  EXPECT_FALSE(table.replace(0, {on({kProtocolIcmp, 53, {}, {}})}));
  EXPECT_FALSE(table.replace(0, {on({{}, {}, prefix("10.0.0.0/8"), prefix("::/0")})}));
  EXPECT_FALSE(table.replace(0, {on({}, 64)}));
  EXPECT_EQ(lanes(table, udp("1.1.1.1", "2.2.2.2", 53)), (std::set<std::uint32_t>{0}));
}

TEST(FilterTable, CapsShapesNotFilters) {
  FilterTable table;
  std::vector<ipc::ModuleFilter> filters;
  for (unsigned i = 0; i < 5000; ++i)
    filters.push_back(on({kProtocolUdp, static_cast<std::uint16_t>(i), {}, Prefix(IpAddress::v4(i << 8), 24)}));
  ASSERT_TRUE(table.replace(0, filters));
  EXPECT_EQ(table.shapes(), 1u);
  filters.clear();
  for (unsigned length = 0; length < 64; ++length)
    filters.push_back(on({{}, {}, {}, Prefix(*IpAddress::parse("2001:db8::"), length)}));
  auto refused = table.replace(1, filters);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("64"), std::string::npos);
  EXPECT_EQ(table.shapes(), 1u);
  filters.pop_back();
  EXPECT_TRUE(table.replace(1, filters));
}

TEST(FilterTable, AgreesWithFilterMatchesOnRandomPackets) {
  std::mt19937 random(7);
  auto address = [&] {
    return random() % 4 ? IpAddress::v4(0x0a000000 | (random() % 8) << 8 | random() % 4)
                        : *IpAddress::parse(random() % 2 ? "2001:db8::1" : "2001:db8:1::1");
  };
  auto some_prefix = [&] {
    IpAddress a = address();
    return Prefix(a, a.is_v4() ? 8u * (random() % 5) : 16u * (random() % 5));
  };
  for (int round = 0; round < 50; ++round) {
    FilterTable table;
    std::vector<std::vector<Filter>> all(4);
    for (std::uint32_t lane = 0; lane < 4; ++lane) {
      std::vector<ipc::ModuleFilter> list;
      for (int i = 0; i < 6; ++i) {
        Filter f;
        if (random() % 2) f.protocol = random() % 2 ? kProtocolUdp : kProtocolTcp;
        if (random() % 3 == 0) f.destination_port = static_cast<std::uint16_t>(random() % 3);
        if (random() % 2) f.source = some_prefix();
        if (random() % 2) f.destination = some_prefix();
        if (f.source && f.destination && f.source->address().is_v4() != f.destination->address().is_v4())
          f.source.reset();
        all[lane].push_back(f);
        list.push_back(on(f));
      }
      ASSERT_TRUE(table.replace(lane, list));
    }
    for (int i = 0; i < 200; ++i) {
      PacketHeaders p;
      p.source = address();
      do p.destination = address();
      while (p.destination.is_v4() != p.source.is_v4());
      p.protocol = random() % 3 ? kProtocolUdp : kProtocolIcmp;
      p.has_ports = p.protocol == kProtocolUdp && random() % 4;
      if (p.has_ports) p.destination_port = static_cast<std::uint16_t>(random() % 3);
      std::set<std::uint32_t> expected;
      for (std::uint32_t lane = 0; lane < 4; ++lane)
        for (const Filter& f : all[lane])
          if (f.matches(p)) expected.insert(lane);
      ASSERT_EQ(lanes(table, p), expected);
    }
  }
}

}  // namespace
}  // namespace netserv::forward
