#include "auth/policy.h"

#include <gtest/gtest.h>

#include "wire/ncm/status.h"

namespace netserv::auth {
namespace {

using std::chrono::seconds;

class OneKey : public KeyRing {
 public:
  explicit OneKey(PublicKey key) : key_(key) {}
  std::optional<PublicKey> find_key(const PublisherId&) const override { return key_; }

 private:
  PublicKey key_;
};
class NoNonces : public NonceStore {
 public:
  Result<NonceUse> claim(const PublisherId&, const std::string&, const std::string&, WallTime) override {
    return NonceUse::kNew;
  }
};

class PolicyTest : public testing::Test {
 protected:
  PolicyTest() {
    policy_.name = PublisherId("jane");
    policy_.prefixes = {*Prefix::parse("192.0.2.0/24"), *Prefix::parse("2001:db8::/32")};
    policy_.max_ttl = seconds(3600);
    policy_.blocks = std::set<std::string>{"packet/1", "timer/1"};
    facts_.own_addresses = {*Prefix::parse("192.0.2.1")};
    facts_.blocks = {"packet/1", "timer/1", "udp/1"};
  }
  Result<Grant> decide(std::string_view headers) {
    auto m = ncm::parse_message("SETUP m_1 NETSERV/0.1\nuser:jane\n" + std::string(headers) + "\n\n");
    EXPECT_TRUE(m) << m.error().message();
    if (!m->find("url")) m->set("url", "http://example.com/m");
    sign_message(*m, key_);
    auto request = ncm::parse_request(*m);
    EXPECT_TRUE(request) << request.error().message();
    auto who = authenticator_.authenticate(*request, WallTime(seconds(1)));
    EXPECT_TRUE(who) << who.error().message();
    return authorise(*who->as<ncm::Setup>(), policy_, facts_);
  }
  std::string refusal(std::string_view headers) {
    auto grant = decide(headers);
    return grant ? "granted" : std::to_string(grant.error().code) + " " + grant.error().subject;
  }

  PrivateKey key_ = *new_private_key();
  OneKey ring_{public_key_of(key_)};
  NoNonces nonces_;
  Authenticator authenticator_{ring_, nonces_, Requirements{false, false, false}};
  PublisherPolicy policy_;
  NodeFacts facts_;
};

TEST_F(PolicyTest, FiltersLieInThePublishersPrefixes) {
  auto grant = decide("filter-proto:udp\nfilter-port:5060\nfilter-dst:192.0.2.128/25");
  ASSERT_TRUE(grant) << grant.error().message();
  EXPECT_EQ(grant->filters, (std::vector<Filter>{{kProtocolUdp, 5060, std::nullopt, *Prefix::parse("192.0.2.128/25")}}));
  EXPECT_EQ(refusal("filter-dst:192.0.3.0/24"), "510 filter-dst");
  EXPECT_EQ(refusal("filter-dst:192.0.0.0/16"), "510 filter-dst");
  EXPECT_EQ(refusal("filter-dst:192.0.2.9,10.0.0.1"), "510 filter-dst");
}

TEST_F(PolicyTest, AbsentDestinationMeansAllOfItsOwn) {
  auto grant = decide("filter-proto:tcp");
  ASSERT_TRUE(grant);
  EXPECT_EQ(grant->filters.size(), 2u);
  for (const Filter& f : grant->filters) EXPECT_TRUE(f.destination);
  grant = decide("filter-src:10.0.0.0/8");
  ASSERT_TRUE(grant);
  EXPECT_EQ(grant->filters.size(), 1u);
  EXPECT_TRUE(decide("ttl:5")->filters.empty());
  policy_.prefixes.clear();
  EXPECT_EQ(refusal("filter-proto:tcp"), "510 filter-dst");
  EXPECT_EQ(refusal("ttl:5"), "granted");
}

TEST_F(PolicyTest, NeverTheNodesOwnTraffic) {
  EXPECT_EQ(refusal("filter-proto:udp\nfilter-port:270"), "511 filter-port");
  EXPECT_EQ(refusal("filter-proto:tcp\nfilter-port:270"), "granted");
  EXPECT_EQ(refusal("filter-dst:192.0.2.1"), "511 filter-dst");
}

TEST_F(PolicyTest, PortsBlocksAndLimits) {
  policy_.filter_ports = {{5060, 5061}};
  EXPECT_EQ(refusal("filter-proto:udp\nfilter-port:5060"), "granted");
  EXPECT_EQ(refusal("filter-proto:udp\nfilter-port:5060,5062"), "510 filter-port");
  EXPECT_EQ(refusal("filter-proto:udp"), "510 filter-port");
  EXPECT_EQ(refusal("dependencies:packet/1"), "granted");
  EXPECT_EQ(refusal("dependencies:udp/1"), "513 dependencies");
  EXPECT_EQ(refusal("dependencies:packet/2"), "516 dependencies");
  EXPECT_EQ(refusal("ttl:3601"), "512 ttl");
  EXPECT_EQ(refusal("properties:netserv.fail=closed"), "515 properties");
  policy_.fail_closed = true;
  EXPECT_EQ(refusal("properties:netserv.fail=closed"), "granted");
  policy_.max_filters = 1;
  policy_.filter_ports.clear();
  EXPECT_EQ(refusal("filter-proto:udp\nfilter-port:1"), "512 filter-*");
  facts_.modules_installed = policy_.limits.modules;
  EXPECT_EQ(refusal("ttl:5"), "512 id");
}

TEST_F(PolicyTest, UrlsThatAreAddresses) {
  EXPECT_EQ(refusal("url:http://10.0.0.5/m"), "514 url");
  EXPECT_EQ(refusal("url:http://[::1]:8080/m"), "514 url");
  EXPECT_EQ(refusal("notification:https://192.0.2.1:8443/x"), "514 notification");
  policy_.private_ranges = {*Prefix::parse("10.0.0.0/8")};
  EXPECT_EQ(refusal("url:http://10.0.0.5/m"), "granted");
}

TEST_F(PolicyTest, OperatorsSwitches) {
  facts_.draining = true;
  EXPECT_EQ(refusal("ttl:5"), "401 node");
  policy_.disabled = true;
  EXPECT_EQ(refusal("ttl:5"), "501 user");
}

TEST_F(PolicyTest, WhatWasGrantedIsHeldAgainstEveryRuleThatChanges) {
  policy_.fail_closed = true;
  auto grant = decide("filter-proto:udp\nfilter-port:5060,53\nfilter-dst:192.0.2.128/25\ndependencies:timer/1\n"
                      "properties:netserv.fail=closed");
  ASSERT_TRUE(grant) << grant.error().message();
  const InUse module{grant->filters, grant->blocks, true, "http://198.51.100.7/events"};
  EXPECT_TRUE(still_allowed(module, policy_, facts_));
  const PublisherPolicy before = policy_;
  auto broken_by = [&](auto&& change) {
    PublisherPolicy policy = before;
    change(policy);
    Status status = still_allowed(module, policy, facts_);
    return status ? "allowed" : std::to_string(status.error().code) + " " + status.error().subject;
  };
  EXPECT_EQ(broken_by([](auto& p) { p.prefixes = {*Prefix::parse("192.0.2.0/25")}; }), "510 filter-dst");
  EXPECT_EQ(broken_by([](auto& p) { p.prefixes = {*Prefix::parse("192.0.2.0/24")}; }), "allowed");
  EXPECT_EQ(broken_by([](auto& p) { p.filter_ports = {{5060, 5061}}; }), "510 filter-port");
  EXPECT_EQ(broken_by([](auto& p) { p.filter_ports = {{53, 53}, {5060, 5060}}; }), "allowed");
  EXPECT_EQ(broken_by([](auto& p) { p.max_filters = 1; }), "512 filter-*");
  EXPECT_EQ(broken_by([](auto& p) { p.blocks = std::set<std::string>{"packet/1"}; }), "513 dependencies");
  EXPECT_EQ(broken_by([](auto& p) { p.fail_closed = false; }), "515 properties");
  EXPECT_EQ(still_allowed({{}, {}, false, "http://10.1.2.3/events"}, policy_, facts_).error().subject, "notification");
  facts_.own_addresses.push_back(*Prefix::parse("192.0.2.128/25"));
  EXPECT_EQ(broken_by([](auto&) {}), "511 filter-dst");
}

}  // namespace
}  // namespace netserv::auth
