#include "forward/grant.h"

#include <gtest/gtest.h>

namespace netserv::forward {
namespace {

// A UDP datagram without payload.
Bytes datagram(const char* from, const char* to, std::uint8_t ttl = 64, std::uint16_t to_port = 2000) {
  ByteWriter w;
  if (IpAddress::parse(from)->is_v4()) w.u8(0x45), w.u8(0), w.u16(28), w.u32(0), w.u8(ttl), w.u8(kProtocolUdp), w.u16(0);
  else w.u32(0x60000000), w.u16(8), w.u8(kProtocolUdp), w.u8(ttl);
  w.bytes(IpAddress::parse(from)->bytes());
  w.bytes(IpAddress::parse(to)->bytes());
  w.u16(1000), w.u16(to_port), w.u16(8), w.u16(0);
  return w.take();
}
const ReservedAddresses kReserved({*Prefix::parse("10.0.2.1"), *Prefix::parse("10.0.2.248/29")});
Refusal changed(Bytes bytes, Way way = Way::kOnward) {
  PacketHeaders original = *parse_packet(datagram("10.0.1.1", "10.0.2.2"));
  std::span<std::byte> span(bytes);
  return check_changed(span, original, {*Prefix::parse("10.0.2.0/24")}, kReserved, way);
}

TEST(Grant, ChangedPacketsMayOnlySpeakForAuthorisedAddresses) {
  EXPECT_EQ(changed(datagram("10.0.1.1", "10.0.2.2")), Refusal::kNone);  // as it was
  EXPECT_EQ(changed(datagram("10.0.2.2", "10.0.1.1")), Refusal::kNone);  // a reply
  EXPECT_EQ(changed(datagram("10.0.1.1", "10.0.2.9")), Refusal::kNone);  // redirected within the grant
  EXPECT_EQ(changed(datagram("10.0.3.1", "10.0.1.1")), Refusal::kSource);
  EXPECT_EQ(changed(datagram("10.0.2.2", "10.0.3.1")), Refusal::kDestination);
  EXPECT_EQ(changed(datagram("10.0.1.1", "10.0.2.2", 0)), Refusal::kUnparsable);
  EXPECT_EQ(changed(datagram("10.0.1.1", "10.0.2.2", 63)), Refusal::kNone);
  EXPECT_EQ(changed(datagram("10.0.1.1", "10.0.2.2", 65)), Refusal::kTtl);
  EXPECT_EQ(changed(datagram("10.0.2.2", "10.0.1.1", 65), Way::kBack), Refusal::kNone);
  EXPECT_EQ(changed(Bytes(10)), Refusal::kUnparsable);
  Bytes fragment = datagram("10.0.1.1", "10.0.2.2");
  fragment[6] = std::byte{0x20};
  EXPECT_EQ(changed(fragment), Refusal::kUnparsable);
}

TEST(Grant, CutsToTheIpLengthAndMakesChecksums) {
  Bytes bytes = datagram("10.0.2.2", "10.0.1.1");
  bytes.resize(40);
  std::span<std::byte> span(bytes);
  EXPECT_EQ(check_emitted(span, {*Prefix::parse("10.0.2.2")}, kReserved), Refusal::kNone);
  ASSERT_EQ(span.size(), 28u);
  EXPECT_EQ(internet_checksum(ByteSpan(span).first(20)), 0);
  EXPECT_EQ(check_emitted(span, {*Prefix::parse("10.0.2.3")}, kReserved), Refusal::kSource);
  EXPECT_EQ(check_emitted(span, {}, kReserved), Refusal::kSource);
}

TEST(Grant, NobodySpeaksFromOrToTheNodeOrItsManagement) {
  EXPECT_EQ(changed(datagram("10.0.2.1", "10.0.1.1")), Refusal::kSource);
  EXPECT_EQ(changed(datagram("10.0.2.250", "10.0.1.1")), Refusal::kSource);
  EXPECT_EQ(changed(datagram("10.0.1.1", "10.0.2.1")), Refusal::kDestination);
  EXPECT_EQ(changed(datagram("10.0.1.1", "10.0.2.2", 64, 270)), Refusal::kSignalling);
  auto emitted = [](Bytes bytes) {
    std::span<std::byte> span(bytes);
    return check_emitted(span, {*Prefix::parse("10.0.2.0/24"), *Prefix::parse("2001:db8::/32")}, kReserved);
  };
  EXPECT_EQ(emitted(datagram("10.0.2.2", "10.0.1.1")), Refusal::kNone);
  EXPECT_EQ(emitted(datagram("10.0.2.1", "10.0.1.1")), Refusal::kSource);
  for (const char* to : {"10.0.2.1", "10.0.2.251", "127.0.0.1", "169.254.1.1", "224.0.0.5", "255.255.255.255", "0.0.0.0"})
    EXPECT_EQ(emitted(datagram("10.0.2.2", to)), Refusal::kDestination) << to;
  EXPECT_EQ(emitted(datagram("10.0.2.2", "10.0.1.1", 64, 270)), Refusal::kSignalling);
  EXPECT_EQ(emitted(datagram("2001:db8::2", "2001:db9::1")), Refusal::kNone);
  EXPECT_EQ(emitted(datagram("2001:db9::2", "2001:db9::1")), Refusal::kSource);
  for (const char* to : {"::1", "fe80::1", "ff02::1", "::"})
    EXPECT_EQ(emitted(datagram("2001:db8::2", to)), Refusal::kDestination) << to;
  EXPECT_EQ(emitted(datagram("2001:db8::2", "2001:db9::1", 0)), Refusal::kUnparsable);
  EXPECT_EQ(emitted(datagram("2001:db8::2", "2001:db9::1", 64, 270)), Refusal::kSignalling);
  Bytes fragment = datagram("10.0.2.2", "10.0.1.1");
  fragment[6] = std::byte{0x20};
  EXPECT_EQ(emitted(fragment), Refusal::kUnparsable);
}

// A publisher that may filter everything sends no packet into this machine, and turns none into another IP version.
TEST(Grant, WhoeverMayUseAllAddressesStillReachesOnlyHosts) {
  auto everything = [](Bytes bytes, const char* to) {
    PacketHeaders original = *parse_packet(datagram(IpAddress::parse(to)->is_v4() ? "10.0.1.1" : "2001:db8::1", to));
    std::span<std::byte> span(bytes);
    return check_changed(span, original, {*Prefix::parse("0.0.0.0/0"), *Prefix::parse("::/0")}, kReserved, Way::kOnward);
  };
  EXPECT_EQ(everything(datagram("10.9.9.9", "10.8.8.8"), "10.0.2.2"), Refusal::kNone);
  for (const char* to : {"127.0.0.1", "169.254.1.1", "224.0.0.5", "255.255.255.255", "0.0.0.0", "10.0.2.1"})
    EXPECT_EQ(everything(datagram("10.0.1.1", to), "10.0.2.2"), Refusal::kDestination) << to;
  EXPECT_EQ(everything(datagram("2001:db8::9", "2001:db8::8"), "2001:db8::2"), Refusal::kNone);
  for (const char* to : {"::1", "fe80::1", "ff02::1", "::"})
    EXPECT_EQ(everything(datagram("2001:db8::1", to), "2001:db8::2"), Refusal::kDestination) << to;
  EXPECT_EQ(everything(datagram("2001:db8::1", "2001:db8::2"), "10.0.2.2"), Refusal::kUnparsable);
  EXPECT_EQ(everything(datagram("10.0.1.1", "10.0.2.2"), "2001:db8::2"), Refusal::kUnparsable);
}

}  // namespace
}  // namespace netserv::forward
