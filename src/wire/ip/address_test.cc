#include "wire/ip/address.h"

#include <gtest/gtest.h>

#include <array>

namespace netserv {
namespace {

TEST(IpAddress, ParsesAndPrintsBothFamilies) {
  for (const char* text : {"0.0.0.0", "10.1.2.3", "255.255.255.255", "::", "2001:db8::1", "fe80::1"})
    EXPECT_EQ(IpAddress::parse(text)->to_string(), text);
  for (const char* bad : {"", "1.2.3", "1.2.3.4.5", "01.2.3.x", "2001:::1", "10.0.0.1/8", "host"})
    EXPECT_FALSE(IpAddress::parse(bad)) << bad;
}

TEST(IpAddress, KnowsItsSpecialRanges) {
  EXPECT_TRUE(IpAddress::parse("127.9.9.9")->is_loopback());
  EXPECT_TRUE(IpAddress::parse("::1")->is_loopback());
  EXPECT_TRUE(IpAddress::parse("169.254.1.1")->is_link_local());
  EXPECT_TRUE(IpAddress::parse("febf::1")->is_link_local());
  EXPECT_FALSE(IpAddress::parse("fec0::1")->is_link_local());
  EXPECT_TRUE(IpAddress::parse("239.1.1.1")->is_multicast());
  EXPECT_FALSE(IpAddress::parse("223.1.1.1")->is_multicast());
}

TEST(Prefix, ContainsByLeadingBits) {
  Prefix p = *Prefix::parse("10.128.0.0/9");
  EXPECT_TRUE(p.contains(*IpAddress::parse("10.200.0.1")));
  EXPECT_FALSE(p.contains(*IpAddress::parse("10.127.255.255")));
  EXPECT_FALSE(p.contains(*IpAddress::parse("::")));
  EXPECT_TRUE(p.contains(*Prefix::parse("10.129.0.0/16")));
  EXPECT_FALSE(p.contains(*Prefix::parse("10.0.0.0/8")));
  EXPECT_TRUE(p.overlaps(*Prefix::parse("10.0.0.0/8")));
  EXPECT_TRUE(Prefix::parse("::/0")->contains(*IpAddress::parse("2001:db8::1")));
}

TEST(Prefix, ContainsUntilABitOfItsLengthDiffers) {
  for (std::size_t bytes : {4u, 16u}) {
    std::array<std::byte, 16> zeros{};
    for (unsigned length = 0; length <= bytes * 8; ++length) {
      const Prefix prefix(IpAddress::from_bytes(ByteSpan(zeros).first(bytes)), length);
      EXPECT_TRUE(prefix.contains(prefix.address()));
      for (unsigned bit = 0; bit < bytes * 8; ++bit) {
        auto other = zeros;
        other[bit / 8] = std::byte(0x80u >> bit % 8);
        EXPECT_EQ(prefix.contains(IpAddress::from_bytes(ByteSpan(other).first(bytes))), bit >= length) << length << " " << bit;
      }
    }
  }
}

TEST(Prefix, RefusesHostBitsAndBadLengthsByName) {
  EXPECT_EQ(Prefix::parse("10.0.0.1/8").error().text, "host bits are set; write 10.0.0.0/8");
  for (const char* bad : {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::/129", "10.0.0.0/8x"})
    EXPECT_FALSE(Prefix::parse(bad)) << bad;
  EXPECT_EQ(Prefix::parse("10.0.0.7")->to_string(), "10.0.0.7/32");
}

}  // namespace
}  // namespace netserv
