// Requests that come again, and configurations that change: what may be on the node, and what is refused for good.
#include <gtest/gtest.h>

#include "node/controller.h"
#include "node/fake/bench_test.h"

namespace netserv::node {
namespace {

using fake::Bench;
using fake::kAlice;
using fake::kBob;
using std::chrono::seconds;

using AuthorityTest = fake::BenchTest;

// What the operator reads of a reload, in order.
std::vector<std::string> told(const fake::World& world) {
  std::vector<std::string> out;
  for (const Happened& h : world.happenings)
    if (h.what == Happened::What::kRemoved || h.what == Happened::What::kRefreshed || h.what == Happened::What::kReloaded)
      out.push_back(h.key.module.value() + " " + sentence(h));
  return out;
}

TEST_F(AuthorityTest, TheSameMessageAgainChangesNothing) {
  node::Setup s = b.make_setup("Mon_1.0");
  b.controller->handle(s);
  b.pass(seconds(100));
  WallTime expires = b.store.modules.begin()->second.expires;
  s.request = RequestId(1000);
  b.controller->handle(s);
  EXPECT_EQ(b.code(s.request), 204);
  EXPECT_EQ(b.store.modules.begin()->second.expires, expires);
  b.remove("Mon_1.0");
  b.settle();
  s.request = RequestId(1001);
  b.controller->handle(s);
  EXPECT_EQ(b.code(s.request), 507);
  b.setup("Mon_1.0");
  b.settle();
  s.request = RequestId(1002);
  b.controller->handle(s);
  EXPECT_EQ(b.code(s.request), 507) << "still an old message";
}

TEST_F(AuthorityTest, ARefusedSetupStaysRefusedWhenTheReasonHasGone) {
  b.controller->handle(Drain{RequestId(900), true});
  node::Setup s = b.make_setup("Mon_1.0");
  b.controller->handle(s);
  EXPECT_EQ(b.code(s.request), 401);
  node::Setup other = b.make_setup("Mon_1.0");  // by policy, before it gets here
  b.controller->handle(Refused{other.request, other.key, other.stamp, ncm::refuse(ncm::StatusCode::kFilterNotAllowed, "filter-dst", "is outside").value()});
  EXPECT_EQ(b.code(other.request), 510);
  b.controller->handle(Drain{RequestId(901), false});
  b.start();
  for (node::Setup* again : {&s, &other}) {
    again->request = RequestId(again->request.value() + 1000);
    b.controller->handle(*again);
    EXPECT_EQ(b.code(again->request), 507);
  }
  b.settle();
  EXPECT_TRUE(b.controller->state().modules.empty());
  EXPECT_EQ(b.code(b.setup("Mon_1.0")), 101) << "signed anew";
}

TEST_F(AuthorityTest, APolicyThatHasChangedDoesNotChangeTheAnswerToAnAcceptedMessage) {
  node::Setup s = b.make_setup("Mon_1.0");
  b.controller->handle(s);
  b.settle();
  b.controller->handle(Refused{RequestId(1000), s.key, s.stamp, ncm::refuse(ncm::StatusCode::kFilterNotAllowed, "filter-dst", "is outside").value()});
  EXPECT_EQ(b.code(RequestId(1000)), 204);
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kActive);
}

TEST_F(AuthorityTest, AReplayedRemoveDoesNotRemoveANewInstallation) {
  b.setup("Mon_1.0");
  b.settle();
  Remove r = b.make_remove("Mon_1.0");
  b.controller->handle(r);
  b.settle();
  b.setup("Mon_1.0");
  b.settle();
  r.request = RequestId(1000);
  b.controller->handle(r);
  EXPECT_EQ(b.code(r.request), 204);
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kActive);
}

TEST_F(AuthorityTest, ANonceInAnotherMessageIsRefusedAlsoAfterARestart) {
  node::Setup s = b.make_setup("Mon_1.0");
  b.controller->handle(s);
  b.settle();
  b.start();
  b.settle();
  s.request = RequestId(1000);
  s.stamp.fingerprint = "other";
  b.controller->handle(s);
  EXPECT_EQ(b.code(s.request), 506);
}

TEST_F(AuthorityTest, AFloodOfRequestsIsRefusedButCanStillBeTakenBack) {
  b.setup("Mon_1.0");
  b.settle();
  for (std::size_t n = 1; n < kMostNonces; ++n) ASSERT_EQ(b.code(b.setup("Mon_1.0")), 203);
  EXPECT_EQ(b.code(b.setup("Mon_1.0")), 402);
  EXPECT_EQ(b.code(b.setup("Mon_1.0", Bench::spec(), kBob)), 101) << "others are not touched";
  RequestId removal = b.remove("Mon_1.0");
  b.settle();
  EXPECT_EQ(b.code(removal), 202);
  b.pass(seconds(601));
  EXPECT_EQ(b.code(b.setup("Mon_1.0")), 0) << "cached, starting";
}

TEST_F(AuthorityTest, AReloadRemovesWhatItWouldRefuseAndSaysWhy) {
  for (const char* id : {"A_1", "B_1", "C_1", "D_1"}) {
    node::Setup s = b.make_setup(id);
    s.cached = Artifact{};
    s.cached->object = std::string(id) + ".so";
    if (s.key.module.value() == "B_1") s.cached->blocks = {"packet/1"};
    if (s.key.module.value() == "C_1") s.cached->memory_pages = 100;
    b.controller->handle(s);
    b.settle();
  }
  b.setup("A_1", Bench::spec(), kBob);
  b.settle();
  ASSERT_EQ(b.loaded(), 5u);
  b.world.happenings.clear();
  Settings s = Bench::settings();
  s.publishers[kAlice].blocks = {};
  s.publishers[kAlice].max_memory_pages = 99;
  s.publishers[kAlice].max_modules = 1;
  s.publishers[kAlice].max_ttl = seconds(100);
  Reloaded reloaded{s};
  b.controller->handle(reloaded);
  b.settle();
  EXPECT_EQ(told(b.world), (std::vector<std::string>{
      "A_1 refreshed: the configuration cuts its ttl to 100 s",
      "B_1 removed (513): the configuration no longer allows it: manifest: building block packet/1 is not granted",
      "C_1 removed (512): the configuration no longer allows it: manifest: wants 100 memory pages, granted are 99",
      "D_1 removed (512): the configuration no longer allows it: modules: at most 1 of a publisher",
      " reloaded"}));
  EXPECT_EQ(b.loaded(), 2u) << "alice's oldest, and bob's";
  EXPECT_EQ(b.state("A_1", kBob), ModuleState::kActive);
  EXPECT_EQ(b.store.modules.size(), 2u);

  b.world.happenings.clear();
  reloaded.refused.emplace(ModuleKey{kAlice, ModuleId("A_1")},
                           ncm::refuse(ncm::StatusCode::kFilterNotAllowed, "filter-port", "5060 is not among the publisher's ports").value());
  b.controller->handle(reloaded);
  b.settle();
  EXPECT_EQ(told(b.world), (std::vector<std::string>{
      "A_1 removed (510): the configuration no longer allows it: filter-port: 5060 is not among the publisher's ports", " reloaded"}));
  EXPECT_EQ(b.filters(), 1u);
}

TEST_F(AuthorityTest, ARestartUnderAnotherConfigurationRemovesWhatItWouldRefuse) {
  b.setup("Mon_1.0");
  b.setup("Other_1.0");
  b.settle();
  b.start({{ModuleKey{kAlice, ModuleId("Mon_1.0")}, ncm::refuse(ncm::StatusCode::kFilterNotAllowed, "filter-dst", "is outside").value()}});
  b.settle();
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kUninstalled);
  EXPECT_EQ(b.state("Other_1.0"), ModuleState::kActive);
  EXPECT_EQ(b.filters(), 1u);
  EXPECT_EQ(b.store.modules.size(), 1u);
}

TEST_F(AuthorityTest, AReloadOfALimitLeavesTheRingAndItsPackets) {
  b.setup("Mon_1.0");
  b.settle();
  const std::uint64_t ring = b.world.forwarder.begin()->second.attached;
  Settings s = Bench::settings();
  s.publishers[kAlice].emit_packets_per_second = 5;
  b.controller->handle(Reloaded{s});
  b.settle();
  EXPECT_EQ(b.world.forwarder.begin()->second.attached, ring);
  EXPECT_EQ(b.world.forwarder.begin()->second.emit_packets_per_second, 5u);
  EXPECT_EQ(b.filters(), 1u);
}

TEST_F(AuthorityTest, AReloadThatDropsAPublisherRemovesItsModules) {
  b.setup("Mon_1.0");
  b.settle();
  Settings s = Bench::settings();
  s.publishers.erase(kAlice);
  b.controller->handle(Reloaded{s});
  b.settle();
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kUninstalled);
  EXPECT_EQ(b.filters(), 0u);
}

}  // namespace
}  // namespace netserv::node
