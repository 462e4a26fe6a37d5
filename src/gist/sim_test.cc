// Randomised runs on lossy, reordering, duplicating networks, from fixed seeds. An application sets something up on
// every node of the path and collects an answer from each on the way back, as the NetServ NSLP does.
#include <gtest/gtest.h>

#include <algorithm>

#include "gist/testing/world.h"

namespace netserv::gist::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Payloads: word 0 is 1 (set-up) or 2 (answer), word 1 the request, then one word for each node that answered.
Bytes payload(std::uint32_t kind, std::uint32_t request, const std::vector<std::uint32_t>& nodes = {}) {
  ByteWriter w;
  w.u32(kind);
  w.u32(request);
  for (std::uint32_t n : nodes) w.u32(n);
  return w.take();
}

class ChainApp {
 public:
  ChainApp(Node& node, bool origin) : node_(node), origin_(origin) {
    node_.on_query = [](const RecvMessage&) { return QueryAnswer{true, {}}; };
    node_.on_message = [this](const RecvMessage& m) { receive(m); };
    node_.on_notification = [this](const NetworkNotification& n) { notice(n); };
  }

  // Each attempt has a number of its own, so that a message that GIST itself doubles shows.
  void begin(const SessionId& session, const Mri& mri, bool reliable) {
    reliable_ = reliable;
    pass_on(session, mri, payload(1, ++attempts_));
  }

  std::map<std::uint32_t, int> over_associations, over_datagrams;  // set-ups that arrived, by attempt
  std::vector<std::vector<std::uint32_t>> answers;                 // at the origin

 private:
  void receive(const RecvMessage& m) {
    if (m.data.size() < 8) return;
    ByteReader in(m.data);
    const std::uint32_t kind = in.u32(), request = in.u32();
    if (kind == 1) {
      reliable_ = reliable_ || m.attributes.reliable;
      ++(m.attributes.reliable ? over_associations : over_datagrams)[request];
      session_ = m.session;
      mri_ = m.mri;
      if (last_) return answer({});
      return pass_on(m.session, m.mri, m.data);  // a repetition too: what went on before may be lost
    }
    std::vector<std::uint32_t> nodes;
    while (in.remaining() >= 4) nodes.push_back(in.u32());
    if (origin_) return answers.push_back(nodes);
    session_ = m.session;
    mri_ = inverted(m.mri);
    answer(nodes);
  }

  void notice(const NetworkNotification& n) {
    if (n.type != NetworkNotification::Type::kLastNode || origin_) return;
    last_ = true;
    answer({});
  }

  void pass_on(const SessionId& session, const Mri& mri, const Bytes& data) {
    const IpAddress& end = destination_of(mri);
    if (node_.is_local(end)) {
      last_ = true;
      return answer({});
    }
    send(session, mri, data);
  }

  void answer(std::vector<std::uint32_t> nodes) {
    nodes.push_back(static_cast<std::uint32_t>(node_.index));
    send(session_, inverted(mri_), payload(2, 1, nodes));
  }

  void send(const SessionId& session, const Mri& mri, const Bytes& data) {
    SendMessage s;
    s.data = data;
    s.handle = MessageHandle(1);
    s.nslp = kNslp;
    s.session = session;
    s.mri = mri;
    s.attributes.reliable = reliable_;
    node_.send(std::move(s));
  }

  Node& node_;
  bool origin_;
  bool reliable_ = false;
  bool last_ = false;
  std::uint32_t attempts_ = 0;
  SessionId session_;
  Mri mri_;
};

class Simulation : public ::testing::TestWithParam<int> {};

TEST_P(Simulation, EveryNodeIsReachedAndTheAnswerIsThePath) {
  std::mt19937_64 random(static_cast<std::uint64_t>(GetParam()) * 7919 + 1);
  World world(static_cast<std::uint64_t>(GetParam()) + 100);
  LinkQuality quality;
  quality.delay = milliseconds(1 + static_cast<int>(random() % 30));
  quality.jitter = milliseconds(1 + static_cast<int>(random() % 40));
  quality.loss = static_cast<double>(random() % 20) / 100;
  quality.duplicate = static_cast<double>(random() % 20) / 100;
  Config config;
  config.tcp_port = 30000;
  config.max_queries = 12;
  config.t2 = seconds(4);
  config.responder_policy = static_cast<ResponderPolicy>(random() % 3);
  config.query_source = random() % 2 ? QuerySource::kSignalling : QuerySource::kFlowFirst;
  const bool reliable = random() % 2;
  const bool host_at_the_end = random() % 2;

  // Routers with GIST and without, in a line.
  std::vector<Node*> nodes{&world.add("origin", config)};
  std::vector<std::uint32_t> path;
  const std::size_t length = 2 + random() % 5;
  for (std::size_t i = 0; i < length; ++i) {
    const bool last = i + 1 == length;
    const bool speaks = last ? !host_at_the_end : random() % 3 != 0;
    Node& n = speaks ? world.add("n", config) : world.add_plain("p");
    world.link(*nodes.back(), n, quality);
    nodes.push_back(&n);
    if (speaks) path.push_back(static_cast<std::uint32_t>(n.index));
  }
  std::vector<std::unique_ptr<ChainApp>> apps;
  for (Node* n : nodes)
    if (n->has_gist()) apps.push_back(std::make_unique<ChainApp>(*n, n == nodes.front()));

  const SessionId session = world.session();
  const Mri mri = World::flow(*nodes.front(), *nodes.back());
  ChainApp& origin = *apps.front();
  // The application repeats its request until it is answered, as one without reliability must.
  for (int attempt = 0; attempt < 20 && origin.answers.empty() && !path.empty(); ++attempt) {
    origin.begin(session, mri, reliable);
    world.run_until([&] { return !origin.answers.empty(); }, seconds(20));
  }
  if (path.empty()) {
    origin.begin(session, mri, reliable);
    EXPECT_TRUE(world.run_until([&] { return nodes[0]->notified(NetworkNotification::Type::kLastNode) > 0; }));
    return;
  }
  ASSERT_FALSE(origin.answers.empty());
  const std::vector<std::uint32_t> backwards(path.rbegin(), path.rend());
  for (const auto& answer : origin.answers) EXPECT_EQ(answer, backwards);
  for (std::size_t i = 1; i < apps.size(); ++i) {
    EXPECT_FALSE(apps[i]->over_associations.empty() && apps[i]->over_datagrams.empty()) << i;
    // 4.1.2: reliable messages exactly once or not at all, though the links below double and lose.
    for (const auto& [attempt, times] : apps[i]->over_associations) EXPECT_EQ(times, 1) << i << " attempt " << attempt;
    if (reliable) {
      EXPECT_TRUE(apps[i]->over_datagrams.empty()) << i;
    }
  }

  // All signalling stops: what is left expires by itself.
  world.run_for(seconds(400));
  for (Node* n : nodes) {
    if (!n->has_gist()) continue;
    EXPECT_EQ(n->core().querying_states(), 0u) << n->index;
    EXPECT_EQ(n->core().responding_states(), 0u) << n->index;
    EXPECT_EQ(n->core().associations(), 0u) << n->index;
    EXPECT_FALSE(n->core().next_deadline()) << "no timer outlives its state";
  }
  EXPECT_EQ(world.open_connections(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Simulation, ::testing::Range(0, 150));

// Crashes, link flaps and floods of nonsense, all at once: nothing sticks, nothing grows.
class Chaos : public ::testing::TestWithParam<int> {};

TEST_P(Chaos, StateIsSoftWhateverHappens) {
  std::mt19937_64 random(static_cast<std::uint64_t>(GetParam()) + 5000);
  World world(static_cast<std::uint64_t>(GetParam()) + 900);
  LinkQuality quality;
  quality.jitter = milliseconds(20);
  quality.loss = 0.1;
  quality.duplicate = 0.1;
  Config config;
  config.tcp_port = 30000;
  config.max_queries = 4;
  config.inactivity = seconds(40);
  std::vector<Node*> nodes;
  for (int i = 0; i < 6; ++i) nodes.push_back(&world.add("n", config));
  for (std::size_t i = 0; i < 6; ++i) world.link(*nodes[i], *nodes[(i + 1) % 6], quality);  // a ring: two ways
  std::vector<Datagram> seen;
  world.tap = [&](Flight& f) {
    seen.push_back(f.datagram);
    if (seen.size() > 100) seen.erase(seen.begin());
    return true;
  };
  for (int i = 0; i < 400; ++i) {
    Node& from = *nodes[random() % 6];
    Node& to = *nodes[random() % 6];
    switch (random() % 10) {
      case 0: world.restart(from); break;
      case 1: world.set_link(*nodes[i % 6u], *nodes[(i + 1u) % 6u], random() % 2); break;
      case 2:
        if (!seen.empty()) {  // replayed, elsewhere, and bent
          Datagram d = seen[random() % seen.size()];
          if (random() % 2) d.payload[random() % d.payload.size()] = std::byte(random());
          world.inject(from, d);
        }
        break;
      default:
        if (&from == &to) break;
        SendMessage s;
        s.data = Bytes(4 * (random() % 200));
        s.nslp = kNslp;
        s.session.bytes[0] = std::byte(random() % 8);
        s.mri = World::flow(from, to, random() % 8 ? Direction::kDownstream : Direction::kUpstream);
        s.attributes.reliable = random() % 2;
        from.send(s);
    }
    world.run_for(milliseconds(static_cast<int>(random() % 2000)));
    for (Node* n : nodes) EXPECT_LE(n->core().associations(), 60u);
  }
  for (std::size_t i = 0; i < 6; ++i) world.set_link(*nodes[i], *nodes[(i + 1) % 6], true);
  world.run_for(seconds(600));
  for (Node* n : nodes) {
    EXPECT_EQ(n->core().querying_states(), 0u);
    EXPECT_EQ(n->core().responding_states(), 0u);
    EXPECT_EQ(n->core().associations(), 0u);
    EXPECT_FALSE(n->core().next_deadline());
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Chaos, ::testing::Range(0, 40));

}  // namespace
}  // namespace netserv::gist::testing
