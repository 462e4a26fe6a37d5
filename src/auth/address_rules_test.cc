#include "auth/address_rules.h"

#include <gtest/gtest.h>

namespace netserv::auth {
namespace {

bool refused(std::string_view address, const AddressRules& rules = {}) {
  return refuse_address(*IpAddress::parse(address), rules).has_value();
}

TEST(AddressRules, OnlyPublicAddresses) {
  for (std::string_view a : {"127.0.0.1", "127.9.9.9", "10.1.2.3", "172.31.0.1", "192.168.0.1", "169.254.169.254",
                             "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1",
                             "fd00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
                             "2002:7f00:1::1", "::10.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b:1::7f00:1", "2001:0:1::1"})
    EXPECT_TRUE(refused(a)) << a;
  for (std::string_view a : {"8.8.8.8", "172.32.0.1", "192.0.2.7", "2001:4860::1", "::ffff:8.8.8.8"})
    EXPECT_FALSE(refused(a)) << a;
}

TEST(AddressRules, OperatorsExceptionsDoNotReachTheNodeItself) {
  AddressRules rules{{*Prefix::parse("10.0.0.0/8"), *Prefix::parse("fd00::/8")}, {*Prefix::parse("10.0.0.1"), *Prefix::parse("8.8.8.8")}};
  EXPECT_FALSE(refused("10.0.0.2", rules));
  EXPECT_FALSE(refused("::ffff:10.0.0.2", rules));
  EXPECT_FALSE(refused("fd00::5", rules));
  EXPECT_TRUE(refused("10.0.0.1", rules));
  EXPECT_TRUE(refused("::ffff:10.0.0.1", rules));
  EXPECT_TRUE(refused("8.8.8.8", rules));
  EXPECT_TRUE(refused("192.168.0.1", rules));
}

}  // namespace
}  // namespace netserv::auth
