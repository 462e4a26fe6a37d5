#include "wire/ip/packet.h"

#include <gtest/gtest.h>

#include <random>

namespace netserv {
namespace {

Bytes hex(std::string_view text) {
  Bytes out;
  EXPECT_TRUE(from_hex(text, out));
  return out;
}

// 10.0.0.1:4660 -> 10.0.0.2:5060, UDP, payload "hi"; checksums correct.
Bytes udp4() { return hex("4500001e000040004011" "26cd" "0a0000010a000002" "123413c4000a" "5d76" "6869"); }

TEST(ParsePacket, ReadsUdpOverIpv4) {
  auto h = parse_packet(udp4());
  ASSERT_TRUE(h);
  EXPECT_EQ(h->source.to_string(), "10.0.0.1");
  EXPECT_EQ(h->destination_port, 5060);
  EXPECT_EQ(h->ttl, 64);
  EXPECT_EQ(h->total_length, 30u);
  EXPECT_FALSE(h->fragment);
}

TEST(ParsePacket, RefusesEveryTruncation) {
  Bytes whole = udp4();
  for (std::size_t n = 0; n < whole.size(); ++n) EXPECT_FALSE(parse_packet(ByteSpan(whole).first(n))) << n;
}

TEST(ParsePacket, ReadsTheHeadersOfACutPacket) {
  Bytes whole = udp4();
  auto h = parse_cut_packet(ByteSpan(whole).first(24), whole.size());
  ASSERT_TRUE(h);
  EXPECT_EQ(h->destination_port, 5060);
  EXPECT_EQ(h->total_length, 30u);
  EXPECT_FALSE(parse_cut_packet(ByteSpan(whole).first(22), whole.size())->has_ports);
  EXPECT_FALSE(parse_cut_packet(ByteSpan(whole).first(24), 29)) << "it says it is longer than it was";
}

TEST(ParsePacket, TakesLinkPaddingAsNotItsOwn) {
  Bytes padded = udp4();
  padded.resize(46);
  EXPECT_EQ(parse_packet(padded)->total_length, 30u);
}

TEST(ParsePacket, FragmentsHaveNoPorts) {
  Bytes first = udp4();
  first[6] = std::byte{0x20};  // more fragments
  EXPECT_TRUE(parse_packet(first)->fragment);
  EXPECT_FALSE(parse_packet(first)->has_ports);
}

TEST(ParsePacket, WalksIpv6ExtensionHeaders) {
  Bytes p = hex("6000000000120040" "20010db8000000000000000000000001" "20010db8000000000000000000000002"
                "1100050200000000" "123413c4000a00006869");
  auto h = parse_packet(p);
  ASSERT_TRUE(h);
  EXPECT_EQ(h->protocol, kProtocolUdp);
  EXPECT_EQ(h->l3_length, 48);
  EXPECT_EQ(h->destination_port, 5060);
  p[41] = std::byte{200};  // hop-by-hop longer than the packet
  EXPECT_FALSE(parse_packet(p));
}

TEST(FixChecksums, RestoresWhatWasThere) {
  Bytes good = udp4(), bad = good;
  bad[10] = bad[11] = bad[26] = bad[27] = std::byte{0xee};
  ASSERT_TRUE(fix_checksums(bad));
  EXPECT_EQ(to_hex(bad), to_hex(good));
}

TEST(DecrementTtl, KeepsTheChecksumRight) {
  Bytes p = udp4(), expected = p;
  ASSERT_TRUE(decrement_ttl(p));
  expected[8] = std::byte{63};
  ASSERT_TRUE(fix_checksums(expected));
  EXPECT_EQ(to_hex(p), to_hex(expected));
  p[8] = std::byte{1};
  EXPECT_FALSE(decrement_ttl(p));
}

TEST(ParsePacket, NeverReadsOutsideArbitraryBytes) {
  std::mt19937 random(1);
  for (int round = 0; round < 200000; ++round) {
    Bytes p(random() % 96);
    for (auto& b : p) b = std::byte(random());
    if (!p.empty()) p[0] = std::byte((random() % 2 ? 0x40 : 0x60) | (random() % 16));
    if (auto h = parse_packet(p)) {
      EXPECT_LE(h->total_length, p.size());
      EXPECT_LE(h->l3_length, h->total_length);
    }
    fix_checksums(p);
    decrement_ttl(p);
  }
}

}  // namespace
}  // namespace netserv
