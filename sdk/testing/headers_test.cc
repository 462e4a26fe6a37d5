// Views stay within the bytes: each case is given in a heap buffer of exactly its size, so that a sanitizer
// sees a step too far.
#include "netserv/headers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes ipv4_udp(const std::string& payload) {
  Bytes p = {0x45, 0, 0, 0, 0, 0, 0x40, 0, 61, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7, 0x13, 0xc4, 0x13, 0xc5, 0, 0, 0, 0};
  std::size_t udp = 8 + payload.size();
  p[2] = static_cast<std::uint8_t>((20 + udp) >> 8);
  p[3] = static_cast<std::uint8_t>(20 + udp);
  p[24] = static_cast<std::uint8_t>(udp >> 8);
  p[25] = static_cast<std::uint8_t>(udp);
  p.resize(28 + payload.size());
  std::copy(payload.begin(), payload.end(), p.begin() + 28);
  return p;
}

Bytes ipv6(std::uint8_t next, const Bytes& rest) {
  Bytes p(40 + rest.size(), 0);
  p[0] = 0x60;
  p[4] = static_cast<std::uint8_t>(rest.size() >> 8);
  p[5] = static_cast<std::uint8_t>(rest.size());
  p[6] = next;
  p[7] = 33;
  p[8] = 0x20;
  p[24] = 0x30;
  std::copy(rest.begin(), rest.end(), p.begin() + 40);
  return p;
}

std::string text_of(netserv_piece p) { return std::string(reinterpret_cast<const char*>(p.data), p.length); }

// Parses a copy that has not a byte to spare, and reads all that the views offer.
bool walk(const Bytes& bytes, netserv_ip& ip, netserv_udp& udp) {
  std::unique_ptr<std::uint8_t[]> exact(new std::uint8_t[bytes.size()]);
  std::copy(bytes.begin(), bytes.end(), exact.get());
  if (!netserv_parse_ip(exact.get(), static_cast<std::uint32_t>(bytes.size()), &ip)) return false;
  std::string all = text_of(ip.source) + text_of(ip.destination) + text_of(ip.payload);
  netserv_tcp tcp;
  if (netserv_parse_tcp(&ip, &tcp)) all += text_of(tcp.options) + text_of(tcp.payload);
  if (!netserv_parse_udp(&ip, &udp)) return false;
  all += text_of(udp.payload);
  return all.size() < 3 * bytes.size();
}

TEST(Headers, Ipv4Udp) {
  Bytes p = ipv4_udp("hello");
  p.push_back(0xee);  // link padding
  netserv_ip ip;
  netserv_udp udp;
  ASSERT_TRUE(netserv_parse_ip(p.data(), static_cast<std::uint32_t>(p.size()), &ip));
  EXPECT_EQ(ip.version, 4);
  EXPECT_EQ(ip.ttl, 61);
  EXPECT_EQ(ip.total_length, 33u);
  EXPECT_FALSE(ip.fragment);
  ASSERT_TRUE(netserv_parse_udp(&ip, &udp));
  EXPECT_EQ(udp.source_port, 5060);
  EXPECT_EQ(udp.destination_port, 5061);
  EXPECT_EQ(text_of(udp.payload), "hello");
}

TEST(Headers, Ipv6WithExtensionHeaders) {
  Bytes rest = {60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0, 0, 5, 0, 6, 0, 10, 0, 0, 'h', 'i'};
  Bytes p = ipv6(0, rest);
  netserv_ip ip;
  netserv_udp udp;
  ASSERT_TRUE(netserv_parse_ip(p.data(), static_cast<std::uint32_t>(p.size()), &ip));
  EXPECT_EQ(ip.header_length, 56u);
  ASSERT_TRUE(netserv_parse_udp(&ip, &udp));
  EXPECT_EQ(text_of(udp.payload), "hi");
}

TEST(Headers, FragmentsAreNoDatagrams) {
  Bytes p = ipv4_udp("hello");
  p[6] = 0x20;
  netserv_ip ip;
  netserv_udp udp;
  ASSERT_TRUE(netserv_parse_ip(p.data(), static_cast<std::uint32_t>(p.size()), &ip));
  EXPECT_TRUE(ip.fragment);
  EXPECT_FALSE(netserv_parse_udp(&ip, &udp));
  Bytes six = ipv6(44, {17, 0, 0, 1, 0, 0, 0, 0, 0, 5, 0, 6, 0, 8, 0, 0});
  ASSERT_TRUE(netserv_parse_ip(six.data(), static_cast<std::uint32_t>(six.size()), &ip));
  EXPECT_TRUE(ip.fragment);
  EXPECT_FALSE(netserv_parse_udp(&ip, &udp));
  Bytes later = ipv6(44, {0, 0, 0, 8, 0, 0, 0, 0, 17, 255, 0, 0, 0, 0, 0, 0});  // no extension header, whatever it looks like
  ASSERT_TRUE(netserv_parse_ip(later.data(), static_cast<std::uint32_t>(later.size()), &ip));
  EXPECT_TRUE(ip.fragment);
  EXPECT_EQ(ip.header_length, 48u);
}

TEST(Headers, Tcp) {
  Bytes p(20 + 24, 0);
  p[0] = 0x45;
  p[3] = 44;
  p[9] = 6;
  p[20 + 12] = 0x60;
  p[20 + 13] = 0x12;
  netserv_ip ip;
  netserv_tcp tcp;
  ASSERT_TRUE(netserv_parse_ip(p.data(), static_cast<std::uint32_t>(p.size()), &ip));
  ASSERT_TRUE(netserv_parse_tcp(&ip, &tcp));
  EXPECT_EQ(tcp.flags, 0x12);
  EXPECT_EQ(tcp.options.length, 4u);
  EXPECT_EQ(tcp.payload.length, 0u);
  p[20 + 12] = 0x70;  // longer than what is there
  EXPECT_FALSE(netserv_parse_tcp(&ip, &tcp));
}

TEST(Headers, LengthsThatLieAreRefused) {
  netserv_ip ip;
  netserv_udp udp;
  Bytes p = ipv4_udp("hello");
  for (auto [at, value] : {std::pair<std::size_t, std::uint8_t>{0, 0x44}, {3, 34}, {3, 19}, {25, 14}, {25, 7}}) {
    Bytes bad = p;
    bad[at] = value;
    EXPECT_FALSE(walk(bad, ip, udp)) << at << "=" << int(value);
  }
}

TEST(Headers, EveryPrefixAndAThousandBrokenCopies) {
  std::mt19937 random(4711);
  const Bytes cases[] = {ipv4_udp("hello"), ipv6(0, {60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0, 0, 5, 0, 6, 0,
                                                     10, 0, 0, 'h', 'i'})};
  for (const Bytes& whole : cases) {
    netserv_ip ip;
    netserv_udp udp;
    ASSERT_TRUE(walk(whole, ip, udp));
    for (std::size_t n = 0; n < whole.size(); n++)
      EXPECT_FALSE(walk(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n)), ip, udp)) << n;
    for (int i = 0; i < 1000; i++) {
      Bytes broken = whole;
      for (int flips = 0; flips < 3; flips++)
        broken[random() % broken.size()] = static_cast<std::uint8_t>(random());
      walk(broken, ip, udp);
    }
  }
}

TEST(Headers, PiecesEndWhereTheyEnd) {
  const std::uint8_t bytes[] = {1, 2, 3, 4, 5};
  netserv_piece p{bytes, 5};
  EXPECT_EQ(netserv_u32(p, 1), 0x02030405u);
  EXPECT_EQ(netserv_u32(p, 2), 0u);
  EXPECT_EQ(netserv_u16(p, 4), 0);
  EXPECT_EQ(netserv_u16(p, 0xffffffff), 0);
  EXPECT_EQ(netserv_u8(p, 5), 0);
  EXPECT_EQ(netserv_sub(p, 4, 100).length, 1u);
  EXPECT_EQ(netserv_sub(p, 6, 1).length, 0u);
}

}  // namespace
