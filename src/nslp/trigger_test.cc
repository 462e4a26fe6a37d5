// TRIGGER: the last node turns a request round, along a new flow to where it came from and nowhere else.
#include "nslp/testing/path.h"

namespace netserv::nslp::testing {
namespace {

using Names = std::vector<std::string>;
using Codes = std::vector<int>;

class TriggerTest : public PathTest {
 protected:
  std::string setup(const std::string& more = "") {
    return "SETUP NetMonitor_1.0.0 NETSERV/0.1\nurl:http://example.com/m.wasm\nsignature:" + std::string(88, 'A') +
           "\ntoward:" + publisher->node.address.to_string() + "\n" + more + "\n";
  }
};

TEST_F(TriggerTest, TheUpstreamFlowsNodesActInItsOrder) {
  line(3);
  const Finished f = request(setup(), true);
  EXPECT_EQ(nodes(f), (Names{"r3", "r2", "r1"}));
  EXPECT_EQ(codes(f), (Codes{201, 201, 201}));
  for (const Station* r : router) EXPECT_EQ(r->asked.size(), 1u) << r->node.name;
  EXPECT_EQ(router[0]->asked[0], setup());
}

TEST_F(TriggerTest, SelectionCountsFromTheUsersSide) {
  line(3);
  EXPECT_EQ(codes(request(setup("nodes:first=1\n"), true)), (Codes{201, 102, 102}));
  session.bytes[3] = std::byte(1);
  EXPECT_EQ(codes(request(setup("nodes:last\n"), true)), (Codes{102, 102, 201}));
}

TEST_F(TriggerTest, OneFlowForASession) {
  line(2);
  request(setup(), true);
  request(setup("nonce:12345678\n"), true);
  std::set<gist::SessionId> sessions;
  for (const gist::RecvMessage& m : publisher->node.received) sessions.insert(m.session);
  EXPECT_EQ(sessions.size(), 2u);  // its own, and the one that the last node opened
}

TEST_F(TriggerTest, InnerTowardMustBeTheSender) {
  line(2);
  const std::string text = "SETUP NetMonitor_1.0.0 NETSERV/0.1\nurl:http://x/m.wasm\nsignature:AAAA\ntoward:203.0.113.1\n\n";
  EXPECT_FALSE(publisher->core->start(start(text, true), world->now()));
}

TEST_F(TriggerTest, WhatNobodySignedIsNotTurnedRound) {
  line(2);
  const std::string toward = "toward:" + publisher->node.address.to_string() + "\n\n";
  EXPECT_EQ(codes(request("PROBE NetMonitor NETSERV/0.1\n" + toward, true)), (Codes{305}));
  for (const Station* r : router) EXPECT_TRUE(r->asked.empty()) << r->node.name;
  std::set<gist::SessionId> sessions;
  for (const gist::RecvMessage& m : publisher->node.received) sessions.insert(m.session);
  EXPECT_EQ(sessions.size(), 1u);  // none but its own
}

TEST_F(TriggerTest, FlowsAreBounded) {
  Config config;
  config.max_upstream_flows = 1;
  line(1, config);
  EXPECT_EQ(codes(request(setup(), true)), (Codes{201}));
  session.bytes[3] = std::byte(1);
  EXPECT_EQ(codes(request(setup(), true)), (Codes{603}));
}

TEST_F(TriggerTest, DeadControllerOnTheWayBack) {
  line(3);
  router[0]->controller = nullptr;
  Start s = start(setup(), true);
  s.timeout = std::chrono::seconds(20);
  EXPECT_EQ(codes(request(s)), (Codes{201, 201, 600}));
}

TEST_F(TriggerTest, EverythingIsForgotten) {
  line(2);
  request(setup(), true);
  publisher->perform(publisher->core->end_session(session, world->now()));
  run_for(seconds(300));
  for (auto& s : stations) {
    EXPECT_EQ(s->core->sessions(), 0u) << s->node.name;
    EXPECT_EQ(s->node.core().querying_states() + s->node.core().responding_states(), 0u) << s->node.name;
  }
}

}  // namespace
}  // namespace netserv::nslp::testing
