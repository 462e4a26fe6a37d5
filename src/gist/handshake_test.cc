// The three-way handshake in D-mode: what is on the wire, losses, cookies, the last node.
#include <algorithm>

#include "gist/testing/fixture.h"

namespace netserv::gist::testing {
namespace {

using Handshake = LineTest;

TEST_F(Handshake, InstallsStateOnBothSides) {
  // RFC5971: 4.3.2-2, 4.4.1-1, 4.4.1-5, 4.4.1-8, 5.1-6, 5.1-8, 5.1-12, 5.1-13, 5.2.2-7, 5.3.1-1, 5.3.2-1, 5.3.3-4
  build();
  a->send(message());
  world.run_for(seconds(2));
  ASSERT_EQ(world.sent.size(), 3u);
  const Message query = sent(MessageType::kQuery, a).at(0);
  const Message response = sent(MessageType::kResponse, m).at(0);
  const Message confirm = sent(MessageType::kConfirm, a).at(0);
  EXPECT_EQ(*query.mri, World::flow(*a, *b));
  EXPECT_EQ(query.nslp_data, words(2));
  EXPECT_EQ(*response.mri, inverted(*query.mri));
  EXPECT_EQ(response.session, query.session);
  EXPECT_EQ(response.query_cookie, query.query_cookie);
  EXPECT_EQ(response.nli->interface_address, m->address);
  EXPECT_TRUE(response.header.reply_requested);
  EXPECT_EQ(*confirm.mri, *query.mri);
  EXPECT_EQ(confirm.responder_cookie, response.responder_cookie);
  EXPECT_TRUE(world.sent[0].query_mode);
  EXPECT_FALSE(world.sent[1].query_mode);
  EXPECT_EQ(world.sent[1].at - world.sent[0].at, milliseconds(5)) << "the Response leaves when the Query comes";
  ASSERT_TRUE(querying());
  EXPECT_EQ(querying()->state, QueryingState::kEstablished);
  EXPECT_EQ(querying()->status, RouteStatus::kGood);
  ASSERT_TRUE(responding());
  EXPECT_EQ(responding()->state, RespondingState::kEstablished);
  EXPECT_EQ(a->status_of(1)->error, SendError::kNone);
  ASSERT_EQ(m->received.size(), 1u);
  EXPECT_TRUE(m->received[0].check);
  EXPECT_TRUE(b->received.empty()) << "m peered, so b is not asked";
}

TEST_F(Handshake, QueryIsAddressedAlongTheFlow) {
  // RFC5971: 5.1-3, 5.1-5, 5.2.1-1, 5.2.2-2, 5.2.2-3, 5.2.2-5, 5.8.1.2-1, 5.8.1.2-2, 5.3.2.3-4, 7.4-1
  build();
  a->send(message());
  const Flight f = world.sent.at(0);
  const Message query = sent(MessageType::kQuery).at(0);
  EXPECT_EQ(f.datagram.destination, b->address);
  EXPECT_EQ(f.datagram.destination_port, 270);
  EXPECT_TRUE(f.query_mode);
  EXPECT_TRUE(query.header.source_is_signalling) << "the flow's source is this node";
  EXPECT_EQ(f.datagram.source, query.nli->interface_address);
  EXPECT_EQ(query.nli->interface_address, a->address);
  EXPECT_EQ(query.nli->ip_ttl, f.datagram.ttl);
}

TEST_F(Handshake, RepliesSwapPortsAndSaySIsSet) {
  // RFC5971: 5.3.1-5, 5.3.1-6, 7.2.1-4
  Config config = base_config();
  config.udp_port = 4270;
  build(config);
  a->send(message());
  world.run_for(seconds(1));
  for (MessageType t : {MessageType::kResponse, MessageType::kConfirm}) {
    const Flight f = flights(t).at(0);
    EXPECT_EQ(f.datagram.source_port, 4270);
    EXPECT_EQ(f.datagram.destination_port, 4270);
    const Message msg = sent(t).at(0);
    EXPECT_TRUE(msg.header.source_is_signalling);
    EXPECT_EQ(f.datagram.source, msg.nli->interface_address);
  }
  EXPECT_EQ(flights(MessageType::kResponse).at(0).datagram.destination, a->address) << "as the Query's NLI says";
}

TEST_F(Handshake, FlowSourceFirstThenTheNodesOwn) {
  build(base_config(), true);
  Node& x = world.add("x", base_config());  // a router that signals for somebody else's flow
  world.link(x, *m);
  SendMessage s = message();
  lose(MessageType::kQuery);
  x.send(s);
  world.run_for(seconds(4));
  const std::vector<Flight> queries = flights(MessageType::kQuery, &x);
  ASSERT_GE(queries.size(), 3u);
  const std::vector<Message> decoded = sent(MessageType::kQuery, &x);
  EXPECT_EQ(queries[0].datagram.source, a->address);
  EXPECT_FALSE(decoded[0].header.source_is_signalling);
  EXPECT_EQ(queries[1].datagram.source, x.address);
  EXPECT_TRUE(decoded[1].header.source_is_signalling);
  EXPECT_EQ(queries[2].datagram.source, a->address);
}

TEST_F(Handshake, QueriesAreRepeatedWithBinaryBackOffAndNewCookies) {
  // RFC5971: 5.3.3-1, 5.3.3-3, 8.5-1
  build();
  lose(MessageType::kQuery);
  a->send(message());
  world.run_for(seconds(100));
  const std::vector<Flight> queries = flights(MessageType::kQuery);
  ASSERT_EQ(queries.size(), 7u);
  for (std::size_t i = 1; i < queries.size(); ++i)
    EXPECT_EQ(queries[i].at - queries[i - 1].at, milliseconds(500) * (1 << (i - 1)));
  std::set<Bytes> cookies;
  for (const Message& q : sent(MessageType::kQuery)) {
    cookies.insert(*q.query_cookie);
    EXPECT_GE(q.query_cookie->size(), 16u);
  }
  EXPECT_EQ(cookies.size(), 7u);
  EXPECT_EQ(a->status_of(1)->error, SendError::kNoNextNode);
  EXPECT_EQ(a->notified(NetworkNotification::Type::kLastNode), 1u);
  EXPECT_EQ(a->core().querying_states(), 0u);
}

TEST_F(Handshake, BackOffIsCapped) {
  Config config = base_config();
  config.t2 = seconds(1);
  build(config);
  lose(MessageType::kQuery);
  a->send(message());
  world.run_for(seconds(20));
  const std::vector<Flight> queries = flights(MessageType::kQuery);
  ASSERT_EQ(queries.size(), 7u);
  EXPECT_EQ(queries[6].at - queries[5].at, seconds(1));
}

TEST_F(Handshake, ApplicationsTimeoutEndsIt) {
  // RFC5971: 5.3.3-2
  build();
  lose(MessageType::kQuery);
  SendMessage s = message();
  s.timeout = seconds(2);
  a->send(s);
  EXPECT_TRUE(world.run_until([&] { return a->status_of(1) != nullptr; }, seconds(3)));
  EXPECT_EQ(world.now() - TimePoint{}, seconds(2));
  EXPECT_EQ(a->status_of(1)->error, SendError::kTimeout);
}

TEST_F(Handshake, AnAnswerToAnyQueryCounts) {
  // RFC5971: 5.3.3-5, 5.3.3-6, 6.2-2
  build();
  std::vector<Flight> held;
  world.tap = [&](Flight& f) {
    const DecodeResult d = decode_datagram(f.datagram.payload);
    if (d->type() != MessageType::kResponse || held.size() == 2) return true;
    held.push_back(f);
    return false;
  };
  a->send(message());
  ASSERT_TRUE(world.run_until([&] { return held.size() == 2; }));
  world.inject(*a, held[0].datagram);  // of the first Query, after the second was sent
  ASSERT_TRUE(querying());
  EXPECT_EQ(querying()->state, QueryingState::kEstablished);
  EXPECT_EQ(sent(MessageType::kConfirm).size(), 1u);
  world.inject(*a, held[1].datagram);
  EXPECT_EQ(sent(MessageType::kConfirm).size(), 2u) << "a further Response is treated the same";
}

TEST_F(Handshake, ResponsesWithAForeignCookieAreDroppedInSilence) {
  // RFC5971: 8.3-1, 8.5-3
  build();
  bend(MessageType::kResponse, [](Message& r, Datagram&) { (*r.query_cookie)[3] ^= std::byte{1}; });
  a->send(message());
  world.run_for(milliseconds(300));
  EXPECT_EQ(querying()->state, QueryingState::kAwaitingResponse);
  EXPECT_EQ(querying()->sii, SiiHandle{});
  EXPECT_EQ(a->count(Event::Type::kCookieRefused), 1u);
  EXPECT_TRUE(errors(a).empty());
}

TEST_F(Handshake, CookieErrorsAreForDebuggingOnly) {
  // RFC5971: 8.5-3
  Config config = base_config();
  config.send_invalid_cookie_errors = true;
  build(config);
  bend(MessageType::kResponse, [](Message& r, Datagram&) { (*r.query_cookie)[3] ^= std::byte{1}; });
  a->send(message());
  world.run_for(milliseconds(300));
  EXPECT_EQ(errors(a), std::vector<std::string>{"10/4"});
}

TEST_F(Handshake, ResponsesNobodyAskedForAreDroppedInSilence) {
  // RFC5971: 4.4.6-1
  build();
  a->send(message());
  world.run_for(seconds(1));
  const Datagram response = flights(MessageType::kResponse).at(0).datagram;
  const std::size_t before = world.sent.size();
  (void)a->core().set_state_lifetime({kNslp, World::flow(*a, *b), session, {}}, world.now());
  ASSERT_EQ(a->core().querying_states(), 0u);
  world.inject(*a, response);
  EXPECT_EQ(world.sent.size(), before);
}

TEST_F(Handshake, AnEndHostWithoutGistIsFoundInOneRoundTrip) {
  Config config = base_config();
  config.query_source = QuerySource::kSignalling;
  build(config, false);
  m->send(message());  // m signals on towards b, the flow's destination
  world.run_for(milliseconds(11));
  EXPECT_EQ(m->status_of(1)->error, SendError::kNoNextNode);
  EXPECT_EQ(m->notified(NetworkNotification::Type::kLastNode), 1u);
  EXPECT_EQ(m->core().querying_states(), 0u);
}

TEST_F(Handshake, WithTheFlowsSourceIcmpIsNotSeenAndTheSecondQueryIs) {
  build(base_config(), false);
  m->send(message());
  world.run_for(milliseconds(400));
  EXPECT_EQ(m->notified(NetworkNotification::Type::kLastNode), 0u);
  world.run_for(milliseconds(200));
  EXPECT_EQ(m->notified(NetworkNotification::Type::kLastNode), 1u);
}

class DelayedState : public LineTest {
 protected:
  DelayedState() {
    Config config = base_config();
    config.responder_policy = ResponderPolicy::kDelayed;
    build(config);
  }
};

TEST_F(DelayedState, NothingIsKeptUntilTheConfirm) {
  lose(MessageType::kConfirm, 1);
  a->send(message());
  world.run_for(milliseconds(400));
  EXPECT_EQ(m->core().responding_states(), 0u);
  EXPECT_EQ(sent(MessageType::kResponse).size(), 1u);
  // The querier believes in state; its Data brings the handshake back (5.3.3).
  a->send(message(2));
  world.run_for(seconds(1));
  EXPECT_EQ(errors(m), std::vector<std::string>{"5/0"});
  ASSERT_TRUE(responding());
  EXPECT_EQ(responding()->state, RespondingState::kEstablished);
  EXPECT_EQ(querying()->state, QueryingState::kEstablished);
}

TEST_F(DelayedState, DataWithoutStateRestartsTheHandshake) {
  // RFC5971: 4.4.6-3, 4.4.6-5
  lose(MessageType::kConfirm, 1);
  a->send(message());
  world.run_for(milliseconds(400));
  const std::size_t queries = sent(MessageType::kQuery).size();
  a->send(message(2));
  world.run_for(milliseconds(12));
  EXPECT_EQ(errors(m), std::vector<std::string>{"5/0"});
  EXPECT_EQ(sent(MessageType::kQuery).size(), queries + 1);
}

// The Confirm's cookie is bound to what the Query said.
TEST_F(DelayedState, CookiesCantBeUsedForAnythingElse) {
  // RFC5971: 8.5-2
  lose(MessageType::kConfirm);
  a->send(message());
  world.run_for(milliseconds(100));
  const Message good = sent(MessageType::kConfirm).at(0);
  const auto refused = [&](const std::function<void(Message&)>& edit) {
    Message bad = good;
    edit(bad);
    inject(bad);
    return m->core().responding_states() == 0;
  };
  EXPECT_TRUE(refused([](Message& c) { c.session->bytes[0] ^= std::byte{1}; }));
  EXPECT_TRUE(refused([](Message& c) { std::get<PathCoupledMri>(*c.mri).protocol = 17; }));
  EXPECT_TRUE(refused([](Message& c) { c.mri = inverted(*c.mri); }));
  EXPECT_TRUE(refused([](Message& c) { c.nli->peer_identity[0] ^= std::byte{1}; }));
  EXPECT_TRUE(refused([](Message& c) { c.nli->interface_address = IpAddress::v4(0x0a000009); }));
  for (std::size_t i = 0; i < good.responder_cookie->size(); ++i)
    EXPECT_TRUE(refused([i](Message& c) { (*c.responder_cookie)[i] ^= std::byte{0x80}; })) << i;
  EXPECT_TRUE(errors(m).empty()) << "no backscatter";
  EXPECT_FALSE(refused([](Message&) {}));
  EXPECT_EQ(responding()->state, RespondingState::kEstablished);
}

TEST_F(DelayedState, CookiesGrowOldWithTheirSecret) {
  // RFC5971: 8.5-2
  lose(MessageType::kConfirm);
  a->send(message());
  world.run_for(milliseconds(100));
  const Message confirm = sent(MessageType::kConfirm).at(0);
  a->perform(a->core().set_state_lifetime({kNslp, World::flow(*a, *b), session, {}}, world.now()));
  world.run_for(seconds(65));  // one roll-over
  inject(confirm);
  EXPECT_EQ(m->core().responding_states(), 1u);
  world.run_for(seconds(65));  // the state expired, and another roll-over
  ASSERT_EQ(m->core().responding_states(), 0u);
  inject(confirm);
  EXPECT_EQ(m->core().responding_states(), 0u);
}

TEST_F(DelayedState, ConfirmWithoutCookieOrStateIsRefused) {
  // RFC5971: 4.4.6-3
  lose(MessageType::kConfirm);
  a->send(message());
  world.run_for(milliseconds(100));
  Message confirm = sent(MessageType::kConfirm).at(0);
  confirm.responder_cookie.reset();
  inject(confirm);
  EXPECT_EQ(errors(m), std::vector<std::string>{"5/0"});
}

TEST_F(Handshake, ImmediatePolicyNeedsNoConfirm) {
  Config config = base_config();
  config.responder_policy = ResponderPolicy::kImmediate;
  build(config);
  a->send(message());
  world.run_for(seconds(1));
  EXPECT_EQ(world.sent.size(), 2u);
  EXPECT_FALSE(sent(MessageType::kResponse).at(0).header.reply_requested);
  EXPECT_EQ(responding()->state, RespondingState::kEstablished);
}

TEST_F(Handshake, TooManyUnconfirmedStatesAreDelayed) {
  Config config = base_config();
  config.max_unconfirmed = 5;
  config.max_routing_states = 8;
  build(config);
  lose(MessageType::kConfirm);
  for (int i = 0; i < 20; ++i) {
    SendMessage s = message();
    s.session = world.session();
    Message query;
    query.header.type = 0;
    query.header.hops = 3;
    query.header.nslp = kNslp;
    query.header.context_free = query.header.reply_requested = query.header.source_is_signalling = true;
    query.mri = s.mri;
    query.session = s.session;
    query.nli = Nli{};
    query.nli->peer_identity = words(1);
    query.nli->interface_address = a->address;
    query.query_cookie = words(4);
    inject(query);
  }
  EXPECT_EQ(m->core().responding_states(), 5u);
  EXPECT_EQ(sent(MessageType::kResponse).size(), 20u) << "one Response a Query, also without state";
}

TEST_F(Handshake, NslpDeclinesAndTheNextNodeAnswers) {
  // RFC5971: 4.3.2-3, 4.3.2-4, 4.3.4-9, 4.3.1-5
  build();
  m->on_query = [](const RecvMessage&) { return QueryAnswer{false, {}}; };
  Datagram at_b;
  a->send(message());
  const Bytes original = world.sent.at(0).datagram.payload;
  world.run_for(seconds(1));
  EXPECT_EQ(sent(MessageType::kResponse, m).size(), 0u);
  ASSERT_EQ(sent(MessageType::kResponse, b).size(), 1u);
  EXPECT_EQ(m->core().responding_states(), 0u);
  EXPECT_EQ(b->core().responding_states(), 1u);
  ASSERT_EQ(b->received.size(), 1u);
  EXPECT_EQ(b->received[0].hops, 62) << "m and b took one each from 64";
  EXPECT_EQ(b->received[0].data, words(2));
}

TEST_F(Handshake, TheDestinationMustPeer) {
  // RFC5971: 4.3.2-1
  build();
  m->on_query = b->on_query = [](const RecvMessage&) { return QueryAnswer{false, {}}; };
  a->send(message());
  world.run_for(seconds(1));
  EXPECT_EQ(b->core().responding_states(), 1u);
}

TEST_F(Handshake, AnswerCarriesAPayload) {
  build();
  m->on_query = [](const RecvMessage&) { return QueryAnswer{true, words(3, 0x11)}; };
  a->send(message());
  world.run_for(seconds(1));
  ASSERT_EQ(a->received.size(), 1u);
  EXPECT_EQ(a->received[0].data, words(3, 0x11));
  EXPECT_TRUE(a->received[0].attributes.state_validated);
}

// Which of the nodes with an address that several have gets a Query is up to routing; from then on they are told apart.
TEST_F(Handshake, AnycastAddressesAreForQueriesOnly) {
  // RFC5971: 7.4-3
  build();
  const IpAddress anycast = IpAddress::v4(0xcb007163);
  m->shared = b->shared = {anycast};
  SendMessage s = message();
  std::get<PathCoupledMri>(s.mri).destination = anycast;
  a->send(s);
  world.run_for(seconds(1));
  s.handle = MessageHandle(2);
  a->send(s);
  SendMessage back = answer(3);
  back.mri = inverted(s.mri);
  m->send(back);
  world.run_for(seconds(1));
  EXPECT_EQ(flights(MessageType::kQuery).at(0).datagram.destination, anycast);
  EXPECT_EQ(sent(MessageType::kResponse, m).at(0).nli->interface_address, m->address);
  EXPECT_EQ(sent(MessageType::kData, m).at(0).nli->interface_address, m->address);
  for (const MessageType type : {MessageType::kConfirm, MessageType::kData})
    EXPECT_EQ(flights(type, a).at(0).datagram.destination, m->address);
  EXPECT_EQ(a->status_of(2)->error, SendError::kNone);
  EXPECT_TRUE(b->received.empty());
}

}  // namespace
}  // namespace netserv::gist::testing
