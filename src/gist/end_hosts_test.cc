// Sessions towards a host that answers few Queries by ICMP errors (gist/end_hosts.h), over 5 ms a hop.
#include "gist/testing/fixture.h"

namespace netserv::gist::testing {
namespace {

class EndHostTest : public LineTest {
 protected:
  // m is the last node; b answers one Query, 10 ms after it went.
  void known(Config config = signalling()) {
    build(config, false);
    world.icmp_errors_left = 1;
    EXPECT_EQ(ask(1), SendError::kNoNextNode);
    EXPECT_LT(took, milliseconds(20));
  }
  static Config signalling() {
    Config c = base_config();
    c.query_source = QuerySource::kSignalling;
    return c;
  }
  // What becomes of a message in a session of its own from m; how long that took is in `took`.
  SendError ask(std::uint64_t handle) {
    session = world.session();
    SendMessage s = message(handle);
    s.mri = World::flow(*m, *b);
    const TimePoint start = world.now();
    m->send(s);
    world.run_until([&] { return m->status_of(handle) != nullptr; });
    took = world.now() - start;
    return m->status_of(handle)->error;
  }
  Duration took{};
};

TEST_F(EndHostTest, ItsOneAnswerCountsForSessionsThatFollow) {
  known();
  for (std::uint64_t handle = 2; handle < 10; ++handle) {
    EXPECT_EQ(ask(handle), SendError::kNoNextNode);
    EXPECT_EQ(took, milliseconds(40)) << "four times what the answer took";
  }
  EXPECT_EQ(flights(MessageType::kQuery, m).size(), 9u) << "each asks once: somebody could have come";
}

TEST_F(EndHostTest, OnlyForATime) {
  known();
  world.run_for(seconds(2));
  EXPECT_EQ(ask(2), SendError::kNoNextNode);
  EXPECT_GT(took, seconds(60)) << "the back-off";
}

TEST_F(EndHostTest, NotOnceTheRouteMayHaveChanged) {
  known();
  m->perform(m->core().route_changed(Prefix(b->address, 24), world.now()));
  EXPECT_EQ(ask(2), SendError::kNoNextNode);
  EXPECT_GT(took, seconds(60));
}

TEST_F(EndHostTest, NotWhenItIsSwitchedOff) {
  Config config = signalling();
  config.end_host_memory = Duration::zero();
  known(config);
  ask(2);
  EXPECT_GT(took, seconds(60));
}

TEST_F(EndHostTest, ARespondingNodeIsFoundAndEndsIt) {
  known();
  // A Response, whatever it answers, shows that somebody is there.
  Message late;
  late.header.type = static_cast<std::uint8_t>(MessageType::kResponse);
  late.header.hops = 5;
  late.header.nslp = kNslp;
  late.header.source_is_signalling = true;
  late.mri = inverted(World::flow(*m, *b));
  late.session = world.session();
  late.nli = Nli{60, Milliseconds(30000), Bytes(4, std::byte{5}), b->address};
  late.query_cookie = Bytes(8, std::byte{2});
  Datagram d;
  d.source = b->address;
  d.destination = m->address;
  d.source_port = d.destination_port = kUdpPort;
  d.ttl = 60;
  d.payload = encode_datagram(late).value();
  world.inject(*m, d);
  ask(2);
  EXPECT_GT(took, seconds(60)) << "patient again";
}

TEST_F(EndHostTest, WhatIsThereIsNotGivenUpForIt) {
  Config config = signalling();
  config.end_host_memory = seconds(60);
  build(config);  // b speaks GIST and has a session with m
  const auto open = [&](std::uint64_t handle) {
    session = world.session();
    SendMessage s = message(handle);
    s.mri = World::flow(*m, *b);
    m->send(s);
  };
  open(1);
  world.run_for(seconds(1));
  ASSERT_EQ(b->received.size(), 1u);
  // Nothing arrives for a while. A second session hears that there is nobody; the refresh of the first hears nothing.
  world.tap = [](Flight&) { return false; };
  open(2);
  m->perform(m->core().on_port_unreachable(world.sent.back().datagram.payload, world.now()));
  EXPECT_EQ(m->core().querying_states(), 1u);
  world.run_for(seconds(25));
  EXPECT_EQ(m->core().querying_states(), 1u) << "it waits through the back-off";
  world.tap = nullptr;
  world.run_for(seconds(20));
  EXPECT_EQ(m->core().querying_states(), 1u);
  EXPECT_EQ(m->notified(NetworkNotification::Type::kLastNode), 1u) << "of the second";
}

}  // namespace
}  // namespace netserv::gist::testing
