#include "transport/packet_image.h"

#include <gtest/gtest.h>

#include "wire/ip/packet.h"

namespace netserv::transport {
namespace {

gist::Datagram sample(bool v6) {
  gist::Datagram d;
  d.source = *IpAddress::parse(v6 ? "2001:db8:1::1" : "10.0.1.1");
  d.destination = *IpAddress::parse(v6 ? "2001:db8:2::2" : "10.0.2.2");
  d.source_port = 270;
  d.destination_port = 270;
  d.ttl = 64;
  d.dscp = 46;
  if (v6) d.flow_label = 0x12345;
  for (int i = 0; i < 37; ++i) d.payload.push_back(std::byte(i));
  return d;
}

class PacketImage : public ::testing::TestWithParam<bool> {};

TEST_P(PacketImage, QueryPacketsAreReadBack) {
  const gist::Datagram sent = sample(GetParam());
  const Bytes packet = query_packet(sent, 0x1234);
  auto got = read_packet(packet, 7);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->interface, 7u);
  EXPECT_EQ(got->ip_header.size(), GetParam() ? 48u : 24u);
  got->interface = 0;
  got->ip_header.clear();
  EXPECT_EQ(*got, sent);
}

TEST_P(PacketImage, WhatIsNotChangedGoesOnByteForByte) {
  const Bytes packet = query_packet(sample(GetParam()), 0);
  const auto got = read_packet(packet, 1);
  ASSERT_TRUE(got);
  EXPECT_EQ(rebuild_packet(*got), packet);
}

TEST_P(PacketImage, AChangedPayloadAndTtlLeaveTheRestAlone) {
  const Bytes packet = query_packet(sample(GetParam()), 9);
  auto got = read_packet(packet, 1);
  ASSERT_TRUE(got);
  got->ttl = 63;
  got->payload.resize(90, std::byte{0xaa});
  const auto again = read_packet(rebuild_packet(*got), 1);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->payload, got->payload);
  EXPECT_EQ(again->ttl, 63);
  EXPECT_EQ(again->source, got->source);
  const std::size_t options = GetParam() ? 40 : 20;
  EXPECT_TRUE(std::equal(again->ip_header.begin() + static_cast<long>(options), again->ip_header.end(),
                         got->ip_header.begin() + static_cast<long>(options)));
}

TEST_P(PacketImage, CutPacketsAndFragmentsAreNotOurs) {
  const Bytes packet = query_packet(sample(GetParam()), 0);
  for (std::size_t n = 0; n < packet.size(); ++n) EXPECT_FALSE(read_packet(ByteSpan(packet).first(n), 1)) << n;
  if (GetParam()) return;
  Bytes fragment = packet;
  fragment[6] = std::byte{0x20};
  EXPECT_FALSE(read_packet(fragment, 1));
}

TEST_P(PacketImage, OnlyPlainUdpIsOurs) {
  // RFC5971: 5.3.2.3-1, 5.3.2.3-2
  const Bytes packet = query_packet(sample(GetParam()), 0);
  const std::size_t protocol_at = GetParam() ? 40 : 9;  // IPv6: of the hop-by-hop options
  for (int other : {4, 6, 41, 47, 50, 51}) {  // IP in IP, TCP, IPv6, GRE, ESP, AH
    Bytes changed = packet;
    changed[protocol_at] = std::byte(other);
    EXPECT_FALSE(read_packet(changed, 1)) << other;
  }
}

TEST_P(PacketImage, UdpChecksumsAreThere) {
  // RFC5971: 5.3.1-2
  const Bytes packet = query_packet(sample(GetParam()), 0);
  const std::size_t checksum_at = (GetParam() ? 48 : 24) + 6;
  EXPECT_NE(to_hex(ByteSpan(packet).subspan(checksum_at, 2)), "0000");
  Bytes again = packet;
  again[checksum_at] = again[checksum_at + 1] = std::byte{0};
  fix_checksums(again);
  EXPECT_EQ(again, packet);
}

TEST(PacketImageV4, QueriesCarryRouterAlertAndDontFragment) {
  // RFC5971: 5.3.2.1-2, 5.3.2.1-4, 5.3.2.1-5
  const Bytes packet = query_packet(sample(false), 0x0102);
  EXPECT_EQ(to_hex(ByteSpan(packet).subspan(20, 4)), "94040102");
  EXPECT_EQ(packet[6], std::byte{0x40});
  EXPECT_EQ(packet[9], std::byte{17});
}

TEST(PacketImageV6, QueriesCarryRouterAlertAndNoOtherHeader) {
  // RFC5971: 5.3.2.2-2, 5.3.2.2-3, 5.3.2.2-4
  const Bytes packet = query_packet(sample(true), 0x0102);
  EXPECT_EQ(packet[6], std::byte{0});  // hop-by-hop options
  EXPECT_EQ(to_hex(ByteSpan(packet).subspan(40, 8)), "1100050201020100");
}

INSTANTIATE_TEST_SUITE_P(BothVersions, PacketImage, ::testing::Bool());

}  // namespace
}  // namespace netserv::transport
