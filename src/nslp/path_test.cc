// Requests along simulated paths: who acts, what comes back, and what losses, crashes and loops do.
#include "nslp/testing/path.h"

#include <algorithm>

namespace netserv::nslp::testing {
namespace {

using ncm::StatusCode;
using Names = std::vector<std::string>;
using Codes = std::vector<int>;

const std::string kSetup = "SETUP NetMonitor_1.0.0 NETSERV/0.1\nurl:http://example.com/netmonitor.wasm\nsignature:" + std::string(88, 'A') + "\n";

TEST_F(PathTest, EveryNodeActsAndAnswersInPathOrder) {
  line(3);
  const Finished f = request(kSetup + toward_user() + "\n");
  EXPECT_EQ(nodes(f), (Names{"r1", "r2", "r3"}));
  EXPECT_EQ(codes(f), (Codes{201, 201, 201}));
  for (const Station* r : router) EXPECT_EQ(r->asked.size(), 1u) << r->node.name;
  // The signed text is what the publisher gave.
  EXPECT_EQ(router[2]->asked[0], kSetup + toward_user() + "\n");
  EXPECT_EQ(f.stack[0].address, router[0]->node.address);
  EXPECT_EQ(f.stack[0].state, "ACTIVE");

  const auto times = round_trips(f.stack, f.wait);
  EXPECT_GE(times[0], milliseconds(10));
  EXPECT_LT(times[0], milliseconds(20));
  EXPECT_GE(times[1] - times[0], milliseconds(10));
  EXPECT_GE(times[2] - times[1], milliseconds(10));
  EXPECT_LT(times[2], milliseconds(60));
}

TEST_F(PathTest, RoutersWithoutNetServAreCrossed) {
  Config host;
  host.hosts_modules = false;
  publisher = &add("publisher", host);
  auto& x = world->add_plain("x");
  router = {&add("r1"), &add("r2")};
  auto& y = world->add_plain("y");
  user = &world->add_plain("user");
  world->link(publisher->node, x);
  world->link(x, router[0]->node);
  world->link(router[0]->node, y);
  world->link(y, router[1]->node);
  world->link(router[1]->node, *user);
  EXPECT_EQ(nodes(request(kSetup + toward_user() + "\n")), (Names{"r1", "r2"}));
}

TEST_F(PathTest, TwentyNodes) {
  line(20);
  const Finished f = request(kSetup + toward_user() + "\n");
  EXPECT_EQ(nodes(f), router_names());
  EXPECT_EQ(codes(f), Codes(20, 201));
}

// Over 16 KB: more than one NSLP-Data object holds.
std::string large_setup() {
  std::string text = kSetup;
  for (int i = 0; i < 3; ++i) text += "x-" + std::to_string(i) + ":" + std::string(8000, static_cast<char>('k' + i)) + "\n";
  return text;
}

TEST_F(PathTest, LargeRequestsGoInParts) {
  line(3);
  const std::string text = large_setup() + toward_user() + "\n";
  EXPECT_EQ(codes(request(text)), (Codes{201, 201, 201}));
  for (const Station* r : router) EXPECT_EQ(r->asked, (std::vector<std::string>{text})) << r->node.name;
}

TEST_F(PathTest, LargeRequestsSurviveLosses) {
  line(3, {}, {.loss = 0.2});
  const std::string text = large_setup() + toward_user() + "\n";
  EXPECT_EQ(codes(request(text)), (Codes{201, 201, 201}));
  for (const Station* r : router) EXPECT_EQ(r->asked, (std::vector<std::string>{text})) << r->node.name;
}

TEST_F(PathTest, NoNodeOnThePath) {
  line(0);
  EXPECT_TRUE(request(kSetup + toward_user() + "\n").stack.empty());
}

TEST_F(PathTest, OnlyTheLast) {
  line(3);
  EXPECT_EQ(codes(request(kSetup + toward_user() + "nodes:last\n\n")), (Codes{102, 102, 201}));
  EXPECT_TRUE(router[0]->asked.empty() && router[1]->asked.empty());
}

TEST_F(PathTest, TheFirstThatCan) {
  line(4);
  router[1]->controller = [](const ncm::Message& m) { return answer(StatusCode::kOverloaded, m.object, ""); };
  EXPECT_EQ(codes(request(kSetup + toward_user() + "nodes:first=2\n\n")), (Codes{201, 402, 201, 102}));
  EXPECT_TRUE(router[3]->asked.empty());
}

TEST_F(PathTest, ThoseWithTheDependencies) {
  line(3);
  router[1]->controller = [](const ncm::Message&) { return answer(StatusCode::kDependencyMissing, "dependencies", ""); };
  EXPECT_EQ(codes(request(kSetup + toward_user() + "nodes:matching\n\n")), (Codes{201, 102, 201}));
}

TEST_F(PathTest, ThoseOnTheList) {
  line(3);
  const std::string list = "nodes:r3," + router[0]->node.address.to_string() + "\n\n";
  EXPECT_EQ(codes(request(kSetup + toward_user() + list)), (Codes{201, 102, 201}));
}

TEST_F(PathTest, TowardMustBeTheFlowsEnd) {
  line(2);
  // The sender's own node sees it at once.
  auto refused = publisher->core->start(start(kSetup + "toward:203.0.113.9\n\n"), world->now());
  ASSERT_FALSE(refused);
  EXPECT_EQ(ncm::status_of(refused.error()), StatusCode::kWrongPath);
  EXPECT_FALSE(publisher->core->start(start(kSetup + "\n"), world->now()));
  // A sender that looks away: the first node refuses, and nobody acts.
  Config careless;
  careless.hosts_modules = careless.require_toward = false;
  Station& other = add("careless", careless);
  world->link(other.node, router[0]->node);
  publisher = &other;
  const Finished f = request(kSetup + "\n");
  EXPECT_EQ(codes(f), (Codes{305}));
  EXPECT_TRUE(router[0]->asked.empty() && router[1]->asked.empty());
}

TEST_F(PathTest, RefusalsAreAnswersToo) {
  line(3);
  router[1]->controller = [](const ncm::Message&) { return answer(StatusCode::kFilterNotAllowed, "filter-dst", ""); };
  const Finished f = request(kSetup + toward_user() + "\n");
  EXPECT_EQ(codes(f), (Codes{201, 510, 201}));
  EXPECT_EQ(f.stack[1].object, "filter-dst");
}

TEST_F(PathTest, SmallOnesTravelAsDatagramsBigOnesOnAssociations) {
  line(2);
  request("REMOVE a NETSERV/0.1\n" + toward_user() + "\n");
  EXPECT_TRUE(world->on_associations.empty());
  session.bytes[5] = std::byte(1);
  std::string long_header = "properties:a=" + std::string(4000, '~') + "\n";
  const Finished f = request(kSetup + toward_user() + long_header + "\n");
  EXPECT_EQ(codes(f), (Codes{201, 201}));
  EXPECT_FALSE(world->on_associations.empty());
  EXPECT_NE(router[1]->asked.back().find(long_header), std::string::npos);
}

TEST_F(PathTest, ProbeBringsBodiesBack) {
  line(3);
  for (Station* r : router)
    r->controller = [r](const ncm::Message&) {
      ncm::Response a = answer(StatusCode::kOk, "*", "");
      a.body = "{\"node\":\"" + r->node.name + "\",\"x\":\"" + std::string(1500, 'x') + "\"}";
      return a;
    };
  const Finished f = request("PROBE * NETSERV/0.1\nprobe:capabilities\n\n");
  ASSERT_EQ(nodes(f), router_names());
  for (const Entry& e : f.stack) EXPECT_NE(e.body.find("\"" + e.node + "\""), std::string::npos);
}

TEST_F(PathTest, BodiesThatDoNotFitAreSaidToBeLeftOut) {
  line(5);
  for (Station* r : router)
    r->controller = [](const ncm::Message&) {
      ncm::Response a = answer(StatusCode::kOk, "*", "");
      a.body = std::string(6000, 'x');
      return a;
    };
  const Finished f = request("PROBE * NETSERV/0.1\nprobe:capabilities\n\n");
  ASSERT_EQ(nodes(f), router_names());
  EXPECT_EQ(std::count_if(f.stack.begin(), f.stack.end(), [](const Entry& e) { return e.body_left_out; }), 3);
}

TEST_F(PathTest, DeadControllerIsNamed) {
  line(3);
  router[1]->controller = nullptr;
  Start s = start(kSetup + toward_user() + "\n");
  s.timeout = seconds(20);
  const Finished f = request(s);
  EXPECT_EQ(nodes(f), router_names());
  EXPECT_EQ(codes(f), (Codes{201, 600, 201}));
}

TEST_F(PathTest, DeadNodeLeavesThePartBeforeIt) {
  line(3);
  request(kSetup + toward_user() + "\n");
  world->set_link(router[1]->node, router[2]->node, false);
  world->break_connections(router[2]->node);
  Start s = start("REMOVE a NETSERV/0.1\n" + toward_user() + "\n");
  s.timeout = seconds(15);
  const Finished f = request(s);
  ASSERT_GE(f.stack.size(), 2u);
  EXPECT_EQ(f.stack[1].node, "r2");
  EXPECT_EQ(codes(f)[1], 201);
  for (std::size_t i = 2; i < f.stack.size(); ++i) EXPECT_EQ(f.stack[i].node, "unknown");
}

TEST_F(PathTest, RefreshInOneSessionUsesThePathThatIsThere) {
  line(3);
  request(kSetup + toward_user() + "\n");
  const std::size_t queries = world->sent.size();
  run_for(seconds(5));
  EXPECT_EQ(codes(request(kSetup + toward_user() + "nonce:12345678\n\n")), (Codes{201, 201, 201}));
  EXPECT_LT(world->sent.size() - queries, 30u);
  for (const Station* r : router) EXPECT_EQ(r->asked.size(), 2u);
}

TEST_F(PathTest, RouteChangeBringsTheRequestToTheNewPath) {
  Config host;
  host.hosts_modules = false;
  publisher = &add("publisher", host);
  router = {&add("r1"), &add("old"), &add("new"), &add("r3")};
  auto& detour = world->add_plain("detour");
  user = &world->add_plain("user");
  world->link(publisher->node, router[0]->node);
  world->link(router[0]->node, router[1]->node);
  world->link(router[1]->node, router[3]->node);
  world->link(router[0]->node, detour);
  world->link(detour, router[2]->node);
  world->link(router[2]->node, router[3]->node);
  world->link(router[3]->node, *user);
  EXPECT_EQ(nodes(request(kSetup + toward_user() + "\n")), (Names{"r1", "old", "r3"}));
  world->set_link(router[0]->node, router[1]->node, false);
  world->set_link(router[1]->node, router[3]->node, false);
  run_for(seconds(60));  // GIST's refresh finds the new peer
  EXPECT_EQ(nodes(request(kSetup + toward_user() + "nonce:12345678\n\n")), (Names{"r1", "new", "r3"}));
  EXPECT_EQ(router[1]->asked.size(), 1u);
}

TEST_F(PathTest, EndedSessionsAreForgotten) {
  line(2);
  request(kSetup + toward_user() + "\n");
  publisher->perform(publisher->core->end_session(session, world->now()));
  EXPECT_EQ(publisher->core->sessions(), 0u);
  run_for(seconds(200));
  for (auto& s : stations) {
    EXPECT_EQ(s->core->sessions(), 0u);
    EXPECT_EQ(s->node.core().querying_states() + s->node.core().responding_states(), 0u) << s->node.name;
  }
}

}  // namespace
}  // namespace netserv::nslp::testing
