#include "plane/xdp/filter_maps.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

namespace netserv::plane {
namespace {

forward::Wanted udp(std::uint16_t port, const char* destination = nullptr) {
  forward::Wanted f;
  f.filter.protocol = kProtocolUdp;
  f.filter.destination_port = port;
  if (destination) f.filter.destination = *Prefix::parse(destination);
  return f;
}

TEST(FilterMaps, FiltersOfOneShapeShareIt) {
  FilterMaps maps;
  std::vector<forward::Wanted> filters;
  for (std::uint16_t port = 1; port <= 1000; ++port) filters.push_back(udp(port, "10.0.0.0/24"));
  ASSERT_TRUE(maps.replace(filters));
  EXPECT_EQ(maps.shape_count(), 1u);
  EXPECT_EQ(maps.keys().size(), 1000u);
}

TEST(FilterMaps, WithoutPrefixItStandsForBothFamilies) {
  FilterMaps maps;
  ASSERT_TRUE(maps.replace(std::vector{udp(5060)}));
  EXPECT_EQ(maps.shape_count(), 2u);
  EXPECT_EQ(maps.keys().size(), 2u);
  forward::Wanted contradiction = udp(5060, "10.0.0.0/8");
  contradiction.filter.source = *Prefix::parse("2001:db8::/32");
  ASSERT_TRUE(maps.replace(std::vector{contradiction}));
  EXPECT_TRUE(maps.keys().empty());
}

TEST(FilterMaps, ShapesKeepTheirIndexWhileOthersComeAndGo) {
  FilterMaps maps;
  ASSERT_TRUE(maps.replace(std::vector{udp(1, "10.0.0.0/8"), udp(2, "10.0.0.0/16")}));
  auto before = maps.keys();
  ASSERT_TRUE(maps.replace(std::vector{udp(2, "10.0.0.0/16")}));
  ASSERT_EQ(maps.keys().size(), 1u);
  EXPECT_TRUE(before.count(maps.keys().begin()->first)) << "its key must not have moved";
  ASSERT_TRUE(maps.replace(std::vector{udp(3, "10.0.0.0/24"), udp(2, "10.0.0.0/16")}));
  EXPECT_EQ(maps.shape_count(), 2u) << "the freed index is used again";
}

TEST(FilterMaps, RefusesTheSixtyFifthShapeAndChangesNothing) {
  FilterMaps maps;
  std::vector<forward::Wanted> filters;
  for (unsigned length = 1; length <= 32; ++length)
    for (unsigned other : {8u, 16u, 24u}) {
      forward::Wanted f = udp(9);
      f.filter.source = Prefix(*IpAddress::parse("10.0.0.0"), length);
      f.filter.destination = Prefix(*IpAddress::parse("10.0.0.0"), other);
      if (filters.size() < 64) filters.push_back(f);
    }
  ASSERT_TRUE(maps.replace(filters));
  EXPECT_EQ(maps.shape_count(), 64u);
  filters.push_back(udp(9));
  EXPECT_FALSE(maps.replace(filters));
  EXPECT_EQ(maps.keys().size(), 64u);
}

TEST(FilterMaps, ObserversOfOneFilterGetTheMostThatAnyWants) {
  forward::Wanted a = udp(5060, "10.0.0.0/8"), b = a, c = a;
  a.observer = b.observer = true;
  a.snap_length = 64, a.sample_one_in = 10;
  b.snap_length = 128, b.sample_one_in = 5;
  FilterMaps maps;
  ASSERT_TRUE(maps.replace(std::vector{a, b, c}));
  const nsx_value& v = maps.keys().begin()->second;
  EXPECT_EQ(v.in_path, 1u);
  EXPECT_EQ(v.observed, 1u);
  EXPECT_EQ(v.snap_length, 128u);
  EXPECT_EQ(v.sample_one_in, 5u);
  b.snap_length = 0;
  ASSERT_TRUE(maps.replace(std::vector{a, b}));
  EXPECT_EQ(maps.keys().begin()->second.snap_length, unsigned{NSX_SNAP_MAX}) << "0 is the whole packet";
}

TEST(FilterMaps, OneThatAsksForFailClosedIsEnough) {
  forward::Wanted open = udp(5060), closed = open;
  closed.fail_closed = true;
  FilterMaps maps;
  ASSERT_TRUE(maps.replace(std::vector{open}));
  EXPECT_EQ(maps.keys().begin()->second.in_path, NSX_IN_PATH);
  for (const auto& both : {std::vector{open, closed}, std::vector{closed, open}}) {
    ASSERT_TRUE(maps.replace(both));
    EXPECT_EQ(maps.keys().begin()->second.in_path, NSX_IN_PATH | NSX_FAIL_CLOSED);
  }
}

}  // namespace
}  // namespace netserv::plane
