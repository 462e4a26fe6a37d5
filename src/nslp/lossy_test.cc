// Random requests over links that lose, double and reorder, with fixed seeds. Whatever happens: no controller is asked
// twice for one request, the response stack is the path, or its near part and a mark that the rest is unknown, and once
// nobody asks any more nothing is left at any node.
#include <algorithm>
#include <array>

#include "nslp/testing/path.h"

namespace netserv::nslp::testing {
namespace {

using Names = std::vector<std::string>;

struct Case {
  std::uint64_t seed;
  double loss;
};

class LossyTest : public PathTest {
 protected:
  explicit LossyTest(std::uint64_t seed = 1) : PathTest(seed) {}
  // Some time after the last request.
  void expect_nothing_left() {
    for (int i = 0; i < 4000; ++i) {
      world->run_for(milliseconds(100));
      for (auto& s : stations) s->turn();
    }
    for (const auto& s : stations) {
      EXPECT_EQ(s->core->sessions(), 0u) << s->node.name;
      EXPECT_EQ(s->core->questions(), 0u) << s->node.name;
      EXPECT_EQ(s->core->upstream_flows(), 0u) << s->node.name;
      EXPECT_FALSE(s->core->next_deadline()) << s->node.name;
      EXPECT_EQ(s->node.core().querying_states() + s->node.core().responding_states(), 0u) << s->node.name;
      EXPECT_EQ(s->node.core().associations(), 0u) << s->node.name;
      EXPECT_FALSE(s->node.core().next_deadline()) << s->node.name;
    }
  }

  int incomplete = 0;  // stacks
};

class RandomLossyTest : public LossyTest, public ::testing::WithParamInterface<Case> {
 protected:
  RandomLossyTest() : LossyTest(GetParam().seed) {}
};

TEST_P(RandomLossyTest, StackIsThePathAndNobodyActsTwice) {
  std::mt19937_64 rng(GetParam().seed);
  gist::testing::LinkQuality quality;
  quality.delay = milliseconds(1 + static_cast<int>(rng() % 10));
  quality.jitter = milliseconds(static_cast<int>(rng() % 20));
  quality.loss = GetParam().loss;
  quality.duplicate = 0.1;
  Config config;
  config.last_node_timeout = seconds(60);  // far beyond what losses do to a handshake
  config.reliable_above = rng() % 2 ? 10000 : 0;
  const int routers = 1 + static_cast<int>(rng() % 6);
  line(routers, config, quality);
  for (Station* r : router) r->controller_delay = milliseconds(static_cast<int>(rng() % 3000));

  for (int i = 0; i < 4; ++i) {
    const bool trigger = rng() % 4 == 0;
    if (rng() % 2) session.bytes[2] = std::byte(i);
    const IpAddress end = trigger ? publisher->node.address : user->address;
    // Distinct texts, so that a controller can count each.
    Start s = start("REMOVE m" + std::to_string(i) + " NETSERV/0.1\nsignature:AAAA\ntoward:" + end.to_string() + "\n\n", trigger);
    s.timeout = seconds(120);
    const Finished f = request(s);
    Names expected = router_names();
    if (trigger) std::reverse(expected.begin(), expected.end());
    Names got = nodes(f);
    if (!got.empty() && got.back() == "unknown") {
      got.pop_back();
      ++incomplete;
      ASSERT_LE(got.size(), expected.size());
      expected.resize(got.size());
    }
    EXPECT_EQ(got, expected) << "request " << i;
    for (const Station* r : router) {
      std::map<std::string, int> times;
      for (const std::string& text : r->asked) ++times[text];
      for (const auto& [text, count] : times) EXPECT_EQ(count, 1) << r->node.name << " " << text;
    }
  }
  if (GetParam().loss <= 0.1) {
    EXPECT_EQ(incomplete, 0);
  }
  expect_nothing_left();
}

// What the runs above rest on: with links that only double, requests do arrive twice, and so do answers.
TEST_F(LossyTest, DuplicatesDoArriveAndChangeNothing) {
  Config config;
  config.reliable_above = 10000;
  line(3, config, {.jitter = milliseconds(10), .duplicate = 0.5});
  std::size_t doubled = 0;
  for (int i = 0; i < 10; ++i) {
    session.bytes[2] = std::byte(i);
    const Finished f = request("REMOVE m" + std::to_string(i) + " NETSERV/0.1\nsignature:AAAA\n" + toward_user() + "\n");
    EXPECT_EQ(nodes(f), router_names());
  }
  for (const Station* r : router) {
    EXPECT_EQ(r->asked.size(), 10u) << r->node.name;
    std::map<Bytes, std::size_t> times;
    for (const gist::RecvMessage& m : r->node.received)
      if (!m.data.empty()) ++times[m.data];
    for (const auto& [data, n] : times) doubled += n - 1;
  }
  EXPECT_GT(doubled, 10u);
  expect_nothing_left();
}

std::vector<Case> cases() {
  std::vector<Case> out;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) out.push_back({seed, std::array{0.0, 0.05, 0.1, 0.25}[seed % 4]});
  return out;
}
INSTANTIATE_TEST_SUITE_P(Seeds, RandomLossyTest, ::testing::ValuesIn(cases()),
                         [](const auto& c) { return "seed" + std::to_string(c.param.seed); });

}  // namespace
}  // namespace netserv::nslp::testing
