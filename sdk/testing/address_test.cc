// Judged by the C library's own inet_pton and inet_ntop.
#include "netserv/address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>

namespace {

bool parse(const std::string& text, netserv_address& out) {
  return netserv_parse_address(text.data(), static_cast<std::uint32_t>(text.size()), &out);
}

TEST(AddressText, AgreesWithTheCLibrary) {
  for (const char* text :
       {"1.2.3.4", "255.255.255.255", "256.1.1.1", "1.2.3", "1.2.3.4.5", "1..2.3", "01.2.3.4", "", ".", "1.2.3.4 ",
        "::", "::1", "1::", "1::2", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", ":1", "1:",
        ":::", "12345::", "::1:2:3:4:5:6:7", "1:2:3:4:5:6:7::", "g::", "2001:DB8::A", "fe80::1%eth0", ":", "1:2:"}) {
    netserv_address ours;
    unsigned char theirs[16];
    int family = std::strchr(text, ':') ? AF_INET6 : AF_INET;
    bool accepted = inet_pton(family, text, theirs) == 1;
    ASSERT_EQ(parse(text, ours), accepted) << text;
    if (!accepted) continue;
    EXPECT_EQ(ours.family, family == AF_INET ? 4 : 6);
    EXPECT_EQ(std::memcmp(ours.bytes, theirs, family == AF_INET ? 4 : 16), 0) << text;
  }
}

TEST(AddressText, WritesAsRfc5952AndReadsItBack) {
  std::mt19937 random(1);
  for (int i = 0; i < 2000; i++) {
    std::uint8_t bytes[16];
    for (auto& b : bytes) b = random() % 3 ? 0 : static_cast<std::uint8_t>(random());
    // inet_ntop writes embedded IPv4 forms for ::a.b.c.d and ::ffff:a.b.c.d; we do not.
    bytes[0] |= 0x20;
    char ours[NETSERV_ADDRESS_TEXT_MAX + 1], theirs[INET6_ADDRSTRLEN];
    std::uint32_t n = netserv_format_address(6, bytes, ours);
    inet_ntop(AF_INET6, bytes, theirs, sizeof theirs);
    ASSERT_EQ(std::string(ours, n), theirs);
    netserv_address back;
    ASSERT_TRUE(parse(std::string(ours, n), back));
    EXPECT_EQ(std::memcmp(back.bytes, bytes, 16), 0);
    n = netserv_format_address(4, bytes, ours);
    inet_ntop(AF_INET, bytes, theirs, sizeof theirs);
    ASSERT_EQ(std::string(ours, n), theirs);
  }
}

}  // namespace
