// A stranger who fills tables: RFC 5971, 8.4. Each table has a limit; the oldest of what nobody has confirmed goes
// first, what is established stays, and when all is full the node goes on without keeping state.
#include <algorithm>

#include "gist/testing/fixture.h"

namespace netserv::gist::testing {
namespace {

class Exhaustion : public LineTest {
 protected:
  // A Query for a session of its own, as anybody can forge one.
  Message forged() {
    Message query;
    query.header.type = static_cast<std::uint8_t>(MessageType::kQuery);
    query.header.hops = 3;
    query.header.nslp = kNslp;
    query.header.context_free = query.header.reply_requested = true;
    query.mri = World::flow(*a, *b);
    query.session = world.session();
    query.nli = Nli{};
    query.nli->peer_identity = words(1);
    query.nli->interface_address = a->address;
    query.query_cookie = words(4);
    return query;
  }
  // For m's last Response, which answered `query`.
  Message confirm_for(const Message& query) {
    Message confirm;
    confirm.header.type = static_cast<std::uint8_t>(MessageType::kConfirm);
    confirm.header.hops = 3;
    confirm.header.nslp = kNslp;
    confirm.header.source_is_signalling = true;
    confirm.mri = query.mri;
    confirm.session = query.session;
    confirm.nli = query.nli;
    confirm.responder_cookie = sent(MessageType::kResponse, m).back().responder_cookie;
    return confirm;
  }
  RoutingKey key_of(const Message& query) const { return {inverted(*query.mri), *query.session, kNslp}; }
  // Established by a handshake of a's.
  RoutingKey establish() {
    SendMessage s = message();
    s.session = world.session();
    a->send(s);
    world.run_for(milliseconds(20));
    return {World::flow(*a, *b, Direction::kUpstream), s.session, kNslp};
  }
  // m gets it and its application says nothing.
  Outputs arrives_unanswered(const Message& message) {
    Datagram d;
    d.source = a->address;
    d.destination = b->address;
    d.source_port = d.destination_port = kUdpPort;
    d.ttl = 63;
    d.interface = 1;
    d.payload = encode_datagram(message).value();
    return m->core().on_datagram(d, world.now());
  }
  template <class T>
  static std::size_t count(const Outputs& outputs) {
    return static_cast<std::size_t>(std::count_if(outputs.begin(), outputs.end(),
                                                  [](const Output& o) { return std::holds_alternative<T>(o); }));
  }
};

TEST_F(Exhaustion, ConfirmedStateTakesThePlaceOfTheOldestUnconfirmed) {
  build_with([](Config& c) {
    c.max_routing_states = 8;
    c.max_unconfirmed = 6;
    c.send_rate = c.send_burst = 1e6;
  });
  const RoutingKey first = establish(), second = establish();
  std::vector<RoutingKey> flood;
  for (int i = 0; i < 1000; ++i) {
    const Message query = forged();
    flood.push_back(key_of(query));
    inject(query);
    ASSERT_LE(m->core().responding_states(), 8u);
  }
  EXPECT_EQ(sent(MessageType::kResponse, m).size(), 1002u) << "answered without state once there is no room";
  for (std::size_t i = 0; i < flood.size(); ++i)
    EXPECT_EQ(m->core().find_responding(flood[i]) != nullptr, i < 6) << i;

  // Real peers still get through: each takes the place of the oldest that nobody confirmed.
  const RoutingKey third = establish(), fourth = establish();
  for (const RoutingKey& key : {first, second, third, fourth}) {
    ASSERT_TRUE(m->core().find_responding(key));
    EXPECT_EQ(m->core().find_responding(key)->state, RespondingState::kEstablished);
  }
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(m->core().find_responding(flood[i]) != nullptr, i >= 2) << i;
  EXPECT_EQ(m->core().responding_states(), 8u);
}

TEST_F(Exhaustion, WhatIsEstablishedStaysAndTheRestIsRefused) {
  build_with([](Config& c) {
    c.max_routing_states = 3;
    c.inactivity = std::chrono::hours(1);
  });
  const Message early = forged(), late = forged();
  inject(early);
  const Message confirm = confirm_for(early);
  for (int i = 0; i < 3; ++i) {
    SendMessage s = message();
    s.session = world.session();
    a->send(s);
  }
  world.run_for(seconds(1));
  ASSERT_EQ(m->core().responding_states(), 3u);
  SendMessage one_more = message(7);
  one_more.session = world.session();
  a->send(one_more);
  EXPECT_EQ(a->status_of(7)->error, SendError::kOverload);
  // The same at the responder: the Confirm of a fourth finds no room, and the Query of a fifth goes on, here to b.
  inject(confirm);
  EXPECT_EQ(m->core().responding_states(), 3u);
  EXPECT_EQ(errors(m), std::vector<std::string>{"5/0"});
  const std::size_t asked = m->received.size();
  inject(late);
  EXPECT_EQ(m->received.size(), asked);
  world.run_for(seconds(100));
  EXPECT_EQ(m->core().responding_states(), 3u) << "refreshed all the while";
  EXPECT_EQ(b->received.size(), 1u);
  EXPECT_EQ(errors(m).size(), 1u) << "nobody tries over and over";
}

TEST_F(Exhaustion, OnePeerConfirmsNoMoreThanItsShare) {
  build_with([](Config& c) {
    c.max_routing_states = 100;
    c.max_peer_states = 3;
    c.inactivity = std::chrono::hours(1);
  });
  for (int i = 0; i < 3; ++i) establish();
  // More is not even asked for: the Query goes on, here to b, which takes it.
  const RoutingKey fourth = establish();
  EXPECT_EQ(m->core().responding_states(), 3u);
  EXPECT_FALSE(m->core().find_responding(fourth));
  EXPECT_TRUE(b->core().find_responding(fourth));
  EXPECT_EQ(m->count(Event::Type::kShareUsedUp), 1u);
  // What it has goes on.
  const std::size_t confirms = sent(MessageType::kConfirm, a).size();
  world.run_for(seconds(100));
  EXPECT_GE(sent(MessageType::kConfirm, a).size(), confirms + 12);
  EXPECT_EQ(m->core().responding_states(), 3u);
  // Others are not concerned.
  Message query = forged();
  query.nli->interface_address = b->address;
  inject(query);
  inject(confirm_for(query));
  EXPECT_EQ(m->core().responding_states(), 4u);
  EXPECT_EQ(m->core().find_responding(key_of(query))->state, RespondingState::kEstablished);
  // And an end makes room.
  a->perform(a->core().set_state_lifetime({kNslp, World::flow(*a, *b), std::nullopt, {}}, world.now()));
  world.run_for(seconds(100));
  EXPECT_EQ(m->core().responding_states(), 0u);
  EXPECT_TRUE(m->core().find_responding(establish()));
}

// Neither by Queries that it sends before it confirms any, ...
TEST_F(Exhaustion, ConfirmsAreCountedWhenTheyCome) {
  for (const ResponderPolicy policy : {ResponderPolicy::kAwaitConfirm, ResponderPolicy::kDelayed}) {
    Config config = base_config();
    config.max_peer_states = 2;
    config.responder_policy = policy;
    build(config);
    std::vector<Message> confirms;
    std::vector<RoutingKey> keys;
    for (int i = 0; i < 4; ++i) {
      const Message query = forged();
      inject(query);
      keys.push_back(key_of(query));
      confirms.push_back(confirm_for(query));
    }
    for (const Message& confirm : confirms) inject(confirm);
    EXPECT_EQ(errors(m), (std::vector<std::string>{"5/0", "5/0"}));
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(m->core().find_responding(keys[i]) != nullptr, i < 2) << i;
    EXPECT_EQ(m->count(Event::Type::kShareUsedUp), 2u);
    world.sent.clear();
  }
}

// ... nor by taking over what is another's.
TEST_F(Exhaustion, AnothersStateCountsForWhoTakesItOver) {
  build_with([](Config& c) { c.max_peer_states = 1; });
  establish();
  Message query = forged();
  query.nli->interface_address = b->address;
  inject(query);
  inject(confirm_for(query));
  const Responding* others = m->core().find_responding(key_of(query));
  ASSERT_EQ(others->state, RespondingState::kEstablished);
  const SiiHandle peer = others->sii;
  query.nli->interface_address = a->address;
  inject(query);
  inject(confirm_for(query));
  EXPECT_EQ(errors(m), std::vector<std::string>{"5/0"});
  EXPECT_EQ(m->core().find_responding(key_of(query))->sii, peer);
}

TEST_F(Exhaustion, LocalRequestsTakeThePlaceOfTheOldestUnconfirmed) {
  build_with([](Config& c) { c.max_routing_states = 4; });
  std::vector<RoutingKey> flood;
  for (int i = 0; i < 4; ++i) {
    const Message query = forged();
    flood.push_back(key_of(query));
    inject(query);
  }
  ASSERT_EQ(m->core().responding_states(), 4u);
  m->send(message());
  EXPECT_EQ(m->core().querying_states(), 1u);
  EXPECT_EQ(m->core().responding_states(), 3u);
  EXPECT_FALSE(m->core().find_responding(flood[0]));
}

TEST_F(Exhaustion, AFullTableEndsTheImmediatePolicyToo) {
  build_with([](Config& c) {
    c.responder_policy = ResponderPolicy::kImmediate;
    c.max_routing_states = 2;
  });
  for (int i = 0; i < 5; ++i) inject(forged());
  EXPECT_EQ(m->core().responding_states(), 2u);
  EXPECT_EQ(sent(MessageType::kResponse, m).size(), 2u);
  // One that was asked about while there was room still is: a Confirm would bring the state.
  m->perform(m->core().set_state_lifetime({kNslp, World::flow(*a, *b, Direction::kUpstream), std::nullopt, {}}, world.now()));
  EXPECT_EQ(m->core().responding_states(), 0u);
  const Outputs first = arrives_unanswered(forged());
  inject(forged()), inject(forged());
  m->perform(m->core().answer_query(*std::get<RecvMessage>(first.back()).check, {true, {}}, world.now()));
  EXPECT_EQ(m->core().responding_states(), 2u);
  EXPECT_TRUE(sent(MessageType::kResponse, m).back().header.reply_requested);
}

TEST_F(Exhaustion, QueriesThatWaitForTheApplicationAreBounded) {
  build_with([](Config& c) { c.max_pending_queries = 3; });
  std::size_t asked = 0, passed = 0;
  for (int i = 0; i < 10; ++i) {
    const Outputs outputs = arrives_unanswered(forged());
    asked += count<RecvMessage>(outputs);
    passed += count<ForwardDatagram>(outputs);
  }
  EXPECT_EQ(asked, 3u);
  EXPECT_EQ(passed, 7u) << "as if the application had declined";
  EXPECT_EQ(m->core().pending_queries(), 3u);
  const Outputs later = m->core().on_time(world.now() + seconds(3));
  EXPECT_EQ(count<ForwardDatagram>(later), 3u);
  EXPECT_EQ(m->core().pending_queries(), 0u);
  EXPECT_EQ(count<RecvMessage>(arrives_unanswered(forged())), 1u);
}

TEST_F(Exhaustion, SoAreTheirBytes) {
  build_with([](Config& c) { c.max_pending_bytes = 40000; });
  Message query = forged();
  query.nslp_data = words(2500);
  std::size_t asked = 0;
  for (int i = 0; i < 100; ++i) {
    query.session = world.session();
    asked += count<RecvMessage>(arrives_unanswered(query));
  }
  EXPECT_EQ(asked, 3u);
  (void)m->core().on_time(world.now() + seconds(3));
  EXPECT_EQ(count<RecvMessage>(arrives_unanswered(query)), 1u) << "given back";
}

TEST_F(Exhaustion, ConnectionsThatNobodyClaimsMakeRoomOldestFirst) {
  build_with([](Config& c) { c.max_associations = 4; });
  a->send(reliable());
  world.run_for(seconds(1));
  ASSERT_EQ(m->core().associations(), 1u);
  std::vector<AssociationId> opened;
  std::size_t closed = 0;
  for (int i = 0; i < 50; ++i) {
    opened.push_back(m->core().accept_association({IpAddress::v4(0xcb007107), false, {}}, world.now()));
    EXPECT_NE(opened.back(), AssociationId{});
    EXPECT_LE(m->core().associations(), 4u);
    closed += count<CloseAssociation>(m->core().on_time(world.now()));
  }
  EXPECT_EQ(closed, 47u);
  for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(m->core().find_association(opened[i]) != nullptr, i >= 47) << i;
  a->send(reliable(2));
  world.run_for(seconds(1));
  EXPECT_EQ(m->received.size(), 3u) << "the Query, and both over the association that is in use";
  // One that the node itself needs makes room in the same way.
  m->send(reliable(3));
  world.run_for(seconds(1));
  EXPECT_EQ(m->status_of(3)->error, SendError::kNone);
  EXPECT_EQ(m->core().associations(), 4u);
}

TEST_F(Exhaustion, AFullTableOfAssociationsInUseRefuses) {
  build_with([](Config& c) { c.max_associations = 1; });
  a->send(reliable());
  world.run_for(seconds(1));
  EXPECT_EQ(m->core().accept_association({IpAddress::v4(0xcb007107), false, {}}, world.now()), AssociationId{});
  a->send(reliable(2));
  world.run_for(seconds(1));
  EXPECT_EQ(m->received.size(), 3u);
}

TEST_F(Exhaustion, UnclaimedConnectionsBringNoLongMessages) {
  build_with([](Config& c) { c.max_unclaimed_message = 1000; });
  const AssociationId id = m->core().accept_association({a->address, false, {}}, world.now());
  Bytes head(8);
  head[0] = std::byte{1};
  head[1] = std::byte{3};
  head[2] = head[3] = std::byte{0xff};  // 262140 bytes to come
  m->perform(m->core().association_data(id, head, world.now()));
  m->perform(m->core().association_data(id, Bytes(900), world.now()));
  EXPECT_TRUE(m->core().find_association(id));
  m->perform(m->core().association_data(id, Bytes(200), world.now()));
  EXPECT_FALSE(m->core().find_association(id));
}

TEST_F(Exhaustion, IncompleteMessagesOfAllAssociationsAreBounded) {
  build_with([](Config& c) {
    c.max_stream_bytes = 2500;
    c.max_unclaimed_message = 1000;
  });
  Bytes part(900);
  part[0] = std::byte{1};
  part[1] = std::byte{3};
  part[2] = part[3] = std::byte{0xff};
  std::vector<AssociationId> ids;
  for (int i = 0; i < 5; ++i) {
    ids.push_back(m->core().accept_association({a->address, false, {}}, world.now()));
    m->perform(m->core().association_data(ids.back(), part, world.now()));
  }
  EXPECT_TRUE(m->core().find_association(ids[1]));
  for (std::size_t i = 2; i < 5; ++i) EXPECT_FALSE(m->core().find_association(ids[i])) << i;
  m->perform(m->core().association_failed(ids[0], world.now()));
  const AssociationId later = m->core().accept_association({a->address, false, {}}, world.now());
  m->perform(m->core().association_data(later, part, world.now()));
  EXPECT_TRUE(m->core().find_association(later)) << "what a closed one held is given back";
}

TEST_F(Exhaustion, HandlesOfPeersThatHoldNoStateAreBounded) {
  build_with([](Config& c) { c.max_peers = 4; });
  const RoutingKey key = establish();
  const SiiHandle in_use = m->core().find_responding(key)->sii;
  for (std::uint32_t i = 0; i < 100; ++i) {
    Message query = forged();
    query.nli->interface_address = IpAddress::v4(0xcb007100 + i);
    inject(query);
  }
  EXPECT_LE(m->core().known_peers(), 4u);
  SendMessage s = message(9, Direction::kUpstream);
  s.sii = in_use;
  m->send(s);
  EXPECT_EQ(m->status_of(9)->error, SendError::kNone);
}

TEST_F(Exhaustion, AnswersToStrangersLeaveRoomForTheNodesOwnMessages) {
  build_with([](Config& c) {
    c.send_rate = 1;
    c.send_burst = 1;
    c.send_queue = 20;
  });
  for (int i = 0; i < 100; ++i) inject(forged());
  EXPECT_EQ(m->core().waiting_datagrams(), 10u);
  for (int i = 0; i < 100; ++i) {
    Message direct = forged();
    direct.header.hops = 0;  // answered with an Error
    inject(direct);
  }
  EXPECT_EQ(m->core().waiting_datagrams(), 10u);
  m->send(message());
  EXPECT_EQ(m->core().waiting_datagrams(), 11u);
}

// A peer that names absurdly short times does not set the pace.
TEST_F(Exhaustion, ShortTimesOfAPeerDoNotMakeAStorm) {
  build_with([](Config& c) { c.inactivity = std::chrono::hours(1); });
  bend(MessageType::kResponse, [](Message& r, Datagram&) {
    r.nli->validity = Milliseconds(1);
    if (r.stack_configuration) r.stack_configuration->hold_time = Milliseconds(1);
  });
  a->send(message());
  world.run_for(seconds(60));
  EXPECT_EQ(querying()->state, QueryingState::kEstablished);
  EXPECT_GT(sent(MessageType::kQuery, a).size(), 50u);
  EXPECT_LE(sent(MessageType::kQuery, a).size(), 61u);
  session = world.session();
  a->send(reliable());
  world.run_for(seconds(60));
  EXPECT_GT(on_associations(MessageType::kMaHello, a).size(), 50u);
  EXPECT_LE(on_associations(MessageType::kMaHello, a).size(), 61u);
}

}  // namespace
}  // namespace netserv::gist::testing
