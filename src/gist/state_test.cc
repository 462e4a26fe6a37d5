// Routing state over time: refresh, expiry, loss, route changes, and the application's interface.
#include <algorithm>

#include "gist/testing/fixture.h"

namespace netserv::gist::testing {
namespace {

using State = LineTest;

TEST_F(State, RefreshedAtARandomMomentBeforeItExpires) {
  // RFC5971: 4.4.4-2, 4.4.4-4, 4.4.4-5, 6.2-3, 7.1.2-1
  Config config = base_config();
  config.inactivity = std::chrono::hours(1);
  build(config);
  a->send(message());
  world.run_for(std::chrono::minutes(10));
  const std::vector<Flight> queries = flights(MessageType::kQuery);
  ASSERT_GT(queries.size(), 20u);
  std::set<Duration> gaps;
  for (std::size_t i = 1; i < queries.size(); ++i) {
    const Duration gap = queries[i].at - queries[i - 1].at;
    EXPECT_GE(gap, seconds(15));
    EXPECT_LE(gap, milliseconds(22520));
    gaps.insert(gap);
  }
  EXPECT_GT(gaps.size(), 10u);
  EXPECT_EQ(responding()->state, RespondingState::kEstablished);
  EXPECT_EQ(m->notified(NetworkNotification::Type::kRouteDeletion), 0u);
}

TEST_F(State, ExpiresWithoutRefresh) {
  // RFC5971: 4.2.1-1
  build();
  a->send(message());
  world.run_for(seconds(1));
  world.set_link(*a, *m, false);
  world.run_for(seconds(28));
  EXPECT_EQ(m->core().responding_states(), 1u);
  world.run_for(seconds(3));
  EXPECT_EQ(m->core().responding_states(), 0u);
  EXPECT_EQ(m->notifications.back().type, NetworkNotification::Type::kRoutingStatus);
  EXPECT_EQ(m->notifications.back().status, RouteStatus::kBad);
}

TEST_F(State, InactiveSessionsAreNotRefreshed) {
  // RFC5971: 4.4.4-3, 6.2-4
  build();
  a->send(message());
  world.run_for(seconds(10));
  a->perform(a->core().set_state_lifetime({kNslp, World::flow(*a, *b), session, seconds(5)}, world.now()));
  world.run_for(milliseconds(4900));
  EXPECT_EQ(a->core().querying_states(), 1u);
  world.run_for(milliseconds(200));
  EXPECT_EQ(a->core().querying_states(), 0u);
  world.run_for(seconds(60));
  EXPECT_EQ(sent(MessageType::kQuery).size(), 1u);
  EXPECT_EQ(m->core().responding_states(), 0u);
}

TEST_F(State, NotRefreshedOnceTheOtherSideIsGone) {
  // RFC5971: 4.4.4-3
  Config config = base_config();
  config.inactivity = std::chrono::hours(1);
  build(config);
  a->send(message());
  world.run_for(seconds(1));
  m->send(message());  // m signals on to b for the same flow and session
  world.run_for(seconds(1));
  ASSERT_EQ(m->core().querying_states(), 1u);
  world.set_link(*a, *m, false);
  world.run_for(seconds(80));
  EXPECT_EQ(m->core().responding_states(), 0u);
  EXPECT_EQ(m->core().querying_states(), 0u);
  EXPECT_EQ(b->core().responding_states(), 0u);
}

TEST_F(State, ManyStatesAreRefreshedMoreSlowly) {
  // RFC5971: 4.4.4-1
  Config config = base_config();
  config.send_rate = 10;
  config.send_burst = 10000;
  config.inactivity = std::chrono::hours(1);
  build(config);
  for (int i = 0; i < 400; ++i) {
    SendMessage s = message();
    s.session = world.session();
    a->send(s);
  }
  world.run_for(milliseconds(100));
  EXPECT_EQ(sent(MessageType::kQuery).back().nli->validity, Milliseconds(8000 * 400 / 10));

  // The limiter never holds them back: once each state has learnt the longer time, they come no faster than its rate.
  auto datagrams = [&] { return sent(MessageType::kQuery).size() + sent(MessageType::kConfirm).size(); };
  world.run_for(seconds(400));
  const std::size_t before = datagrams();
  world.run_for(seconds(400));
  EXPECT_EQ(a->core().querying_states(), 400u);
  EXPECT_GT(datagrams(), before + 400);
  EXPECT_LE(datagrams(), before + 400 * 10);
}

TEST_F(State, SessionsAreSeparate) {
  // RFC5971: 8.3-2, 5.8.1.3-2
  build();
  a->send(message());
  world.run_for(seconds(1));
  const SessionId first = session;
  session = world.session();
  a->send(message());
  world.run_for(seconds(1));
  EXPECT_EQ(m->core().responding_states(), 2u);
  SendMessage back = answer();
  back.session = world.session();
  m->send(back);  // no state for that session: a handshake of its own, not the others' peer
  EXPECT_EQ(m->core().querying_states(), 1u);
  EXPECT_NE(session, first);
}

TEST_F(State, NslpPayloadsReachTheApplication) {
  // RFC5971: 4.3.1-3, 4.3.2-5
  build();
  a->send(message());
  world.run_for(seconds(1));
  a->send(message(2));
  m->send(answer(3));
  world.run_for(seconds(1));
  ASSERT_EQ(m->received.size(), 2u);
  EXPECT_TRUE(m->received[1].attributes.state_validated);
  EXPECT_FALSE(m->received[1].check);
  EXPECT_EQ(m->received[1].hops, 63);
  ASSERT_EQ(a->received.size(), 1u);
  EXPECT_EQ(a->received[0].data, words(2));
  EXPECT_EQ(a->received[0].nslp, kNslp);
}

TEST_F(State, DataWaitsForTheResponse) {
  // RFC5971: 6.2-1
  build();
  lose(MessageType::kQuery, 1);
  a->send(message());
  a->send(message(2));
  world.run_for(milliseconds(100));
  EXPECT_TRUE(sent(MessageType::kData).empty());
  world.run_for(seconds(1));
  EXPECT_EQ(sent(MessageType::kData).size(), 1u);
  EXPECT_EQ(m->received.size(), 2u);
}

TEST_F(State, DataModeNliFollowsTheDirection) {
  // RFC5971: 5.1-16, 5.2.2-5, 5.2.2-6
  build();
  m->on_query = [](const RecvMessage&) { return QueryAnswer{false, {}}; };  // b peers, two IP hops away
  a->send(message());
  world.run_for(seconds(1));
  EXPECT_EQ(querying()->ip_distance, 1);
  EXPECT_EQ(sent(MessageType::kResponse, b).at(0).nli->ip_ttl, 1) << "as stored from the Query";
  SendMessage back = answer();
  b->send(back);
  world.run_for(seconds(1));
  EXPECT_EQ(sent(MessageType::kData, b).at(0).nli->ip_ttl, 1);
  EXPECT_EQ(a->received.at(0).ip_distance, 1);
  a->send(message(5));
  EXPECT_EQ(sent(MessageType::kData, a).at(0).nli->ip_ttl, flights(MessageType::kData, a).at(0).datagram.ttl);
}

TEST_F(State, RestartOfThePeerIsRepaired) {
  // RFC5971: 4.4.6-3, 4.4.6-5
  build();
  a->send(message());
  world.run_for(seconds(1));
  world.restart(*m);
  a->send(message(2));
  world.run_for(seconds(1));
  EXPECT_EQ(errors(m), std::vector<std::string>{"5/0"});
  EXPECT_EQ(m->core().responding_states(), 1u);
  EXPECT_EQ(querying()->state, QueryingState::kEstablished);
  EXPECT_EQ(a->notified(NetworkNotification::Type::kRouteDeletion), 1u) << "the old identity is off the path";
}

TEST_F(State, RestartOfTheQuerierEndsTheRespondersState) {
  // RFC5971: 4.4.6-6
  build();
  a->send(message());
  world.run_for(seconds(1));
  world.restart(*a);
  m->send(answer());
  world.run_for(seconds(1));
  EXPECT_EQ(errors(a), std::vector<std::string>{"5/0"});
  EXPECT_EQ(m->core().responding_states(), 0u);
  EXPECT_EQ(m->notifications.back().status, RouteStatus::kBad);
}

TEST_F(State, RouteChangeIsFoundByProbing) {
  // RFC5971: 7.1.2-1, 7.1.3-1
  Config config = base_config();
  config.inactivity = std::chrono::hours(1);
  a = &world.add("a", config);
  m = &world.add("m", config);
  b = &world.add("b", config);
  Node& other = world.add("other", config);
  world.link(*a, *m);
  world.link(*m, *b);
  world.link(*a, other);
  world.link(other, *b);
  session = world.session();
  a->send(message());
  world.run_for(seconds(1));
  const SiiHandle old = querying()->sii;
  ASSERT_EQ(m->core().responding_states(), 1u);
  world.set_link(*m, *b, false);
  world.run_for(seconds(60));
  EXPECT_EQ(other.core().responding_states(), 1u);
  EXPECT_EQ(m->core().responding_states(), 0u);
  EXPECT_NE(querying()->sii, old);
  ASSERT_EQ(a->notified(NetworkNotification::Type::kRouteDeletion), 1u);
  const auto deletion = std::find_if(a->notifications.begin(), a->notifications.end(), [](const auto& n) {
    return n.type == NetworkNotification::Type::kRouteDeletion;
  });
  EXPECT_EQ(deletion->sii, old);

  // 7.1.4: the node off the path can still be told, past all routing state.
  // RFC5971: 7.1.4-1, 7.1.4-2, 7.1.4-3
  SendMessage farewell = message(9);
  farewell.sii = old;
  a->send(farewell);
  world.run_for(seconds(1));
  EXPECT_EQ(a->status_of(9)->error, SendError::kNone);
  EXPECT_TRUE(sent(MessageType::kData).back().header.explicitly_routed);
  EXPECT_EQ(flights(MessageType::kData).back().datagram.destination, m->address);
  EXPECT_TRUE(m->received.back().attributes.explicitly_routed);
  EXPECT_FALSE(m->received.back().attributes.state_validated);
  EXPECT_TRUE(errors(m).empty());
}

TEST_F(State, LocalRouteChangeStartsAProbeAtOnce) {
  // RFC5971: 7.1.3-3
  build();
  Node& other = world.add("other", base_config());
  world.link(*a, other);
  world.link(other, *b);
  a->send(message());
  world.run_for(seconds(1));
  a->perform(a->core().route_changed(Prefix(b->address, 24), world.now()));
  EXPECT_EQ(querying()->status, RouteStatus::kGood) << "the next hop is still the same";
  world.set_link(*a, *m, false);
  a->perform(a->core().route_changed(Prefix(b->address, 24), world.now()));
  EXPECT_EQ(querying()->state, QueryingState::kAwaitingRefresh);
  EXPECT_EQ(querying()->status, RouteStatus::kTentative);
  world.run_for(seconds(1));
  EXPECT_EQ(other.core().responding_states(), 1u);
  EXPECT_EQ(querying()->status, RouteStatus::kGood);
}

TEST_F(State, LocalRouteChangeDuringAHandshakeStartsAnother) {
  // RFC5971: 7.1.3-3
  build();
  Node& other = world.add("other", base_config());
  world.link(*a, other);
  world.link(other, *b);
  a->send(message());
  world.run_until([&] { return m->core().responding_states() == 1; });
  ASSERT_EQ(querying()->state, QueryingState::kAwaitingResponse);
  // The Response is on its way already.
  world.set_link(*m, *b, false);
  a->perform(a->core().route_changed(Prefix(b->address, 24), world.now()));
  world.run_for(seconds(1));
  EXPECT_EQ(sent(MessageType::kQuery, a).size(), 2u);
  EXPECT_EQ(other.core().responding_states(), 1u);
}

TEST_F(State, ApplicationInvalidates) {
  // RFC5971: 7.1.3-2, 7.1.3-3, 7.1.3-4
  build();
  a->send(message());
  world.run_for(seconds(1));
  const std::size_t before = a->notifications.size();
  a->perform(a->core().invalidate_routing_state({kNslp, World::flow(*a, *b), RouteStatus::kBad, words(1), true},
                                                world.now()));
  EXPECT_EQ(querying()->state, QueryingState::kAwaitingResponse) << "Bad, so nothing is sent meanwhile";
  EXPECT_EQ(sent(MessageType::kQuery).size(), 2u) << "urgent: at once, whatever the routes say";
  EXPECT_EQ(sent(MessageType::kQuery).back().nslp_data, words(1));
  EXPECT_EQ(a->notifications.size(), before) << "the application knows already";
  world.run_for(seconds(1));
  EXPECT_EQ(querying()->status, RouteStatus::kGood);
  a->perform(a->core().invalidate_routing_state({{}, World::flow(*a, *b), RouteStatus::kBad, {}, false}, world.now()));
  EXPECT_EQ(sent(MessageType::kQuery).size(), 2u);
  a->send(message(2));
  EXPECT_EQ(sent(MessageType::kQuery).size(), 3u);
  EXPECT_TRUE(sent(MessageType::kData).empty());
  world.run_for(seconds(1));
  EXPECT_EQ(sent(MessageType::kData).size(), 1u);
}

TEST_F(State, UpstreamQueryAndPrecedence) {
  // RFC5971: 5.8.1.3-1, 5.8.1.3-2, 5.8.1.3-3
  build();
  m->send(answer());  // m asks upstream, towards the flow's source
  const Flight query = world.sent.at(0);
  EXPECT_EQ(query.datagram.destination, a->address);
  EXPECT_EQ(query.datagram.source, m->address);
  EXPECT_EQ(query.datagram.ttl, 255);
  EXPECT_TRUE(sent(MessageType::kQuery).at(0).header.source_is_signalling);
  world.run_for(seconds(1));
  EXPECT_EQ(m->core().querying_states(), 1u);
  EXPECT_EQ(a->core().responding_states(), 1u);
  a->send(message());  // same session: goes by the state that the upstream Query installed
  world.run_for(seconds(1));
  EXPECT_EQ(sent(MessageType::kData, a).size(), 1u);
  // A downstream Query for the same session installs state that takes precedence at m.
  const SessionId shared = session;
  world.restart(*a);
  session = shared;
  a->send(message());
  world.run_for(seconds(1));
  ASSERT_TRUE(responding());
  ASSERT_EQ(m->core().querying_states(), 1u);
  const std::size_t before = sent(MessageType::kData, m).size();
  m->send(answer(7));
  world.run_for(seconds(1));
  ASSERT_EQ(sent(MessageType::kData, m).size(), before + 1);
  EXPECT_EQ(a->received.back().attributes.state_validated, true);
}

TEST_F(State, StatelessDataNeedsNoState) {
  // RFC5971: 5.2.1-1, 4.3.2-6
  build();
  SendMessage s = message();
  s.attributes.stateless = true;
  a->send(s);
  world.run_for(seconds(1));
  EXPECT_EQ(world.sent.size(), 1u);
  const Message data = sent(MessageType::kData).at(0);
  EXPECT_TRUE(data.header.context_free);
  EXPECT_TRUE(data.nli);
  ASSERT_EQ(m->received.size(), 1u);
  EXPECT_FALSE(m->received[0].attributes.state_validated);
  EXPECT_EQ(a->core().querying_states() + m->core().responding_states(), 0u);
}

TEST_F(State, StatelessDataCanBeForbidden) {
  // RFC5971: 4.3.2-8, 4.4.6-3
  Config config = base_config();
  config.accept_stateless_data = false;
  build(config);
  SendMessage s = message();
  s.attributes.stateless = true;
  a->send(s);
  world.run_for(seconds(1));
  EXPECT_EQ(errors(m), std::vector<std::string>{"5/0"});
  EXPECT_TRUE(m->received.empty());
  EXPECT_EQ(a->core().querying_states(), 0u) << "4.4.6: an error without state changes nothing";
}

TEST_F(State, ErrorsAboutNothingAreIgnored) {
  // RFC5971: 4.4.6-2, 4.4.6-4, 5.6-1
  build();
  a->send(message());
  world.run_for(seconds(1));
  world.restart(*m);
  a->send(message(2));
  world.run_for(seconds(1));
  const Datagram error = flights(MessageType::kError).at(0).datagram;
  world.restart(*a);
  const std::size_t before = world.sent.size();
  world.inject(*a, error);
  EXPECT_EQ(world.sent.size(), before);
  EXPECT_EQ(a->core().querying_states(), 0u);
}

TEST_F(State, SendIsCheckedFirst) {
  // RFC5971: 4.3.3-1, 4.3.3-2
  build();
  SendMessage s = message(1);
  s.hops = 0;
  a->send(s);
  s = message(2);
  s.data = Bytes(3);
  a->send(s);
  s = message(3);
  s.mri = World::flow(*b, *a);
  a->send(s);
  s = message(4);
  s.nslp = NslpId(5);
  a->send(s);
  s = message(5);
  s.mri = LooseEndMri{Direction::kUpstream, a->address, b->address};
  b->send(s);
  s = message(6);
  s.sii = SiiHandle(12345);
  a->send(s);
  EXPECT_EQ(a->status_of(1)->error, SendError::kHopsZero);
  EXPECT_EQ(a->status_of(2)->error, SendError::kBadPayload);
  EXPECT_EQ(a->status_of(3)->error, SendError::kIsDestination);
  EXPECT_EQ(a->status_of(4)->error, SendError::kUnknownNslp);
  EXPECT_EQ(b->status_of(5)->error, SendError::kNoEncapsulation);
  EXPECT_EQ(a->status_of(6)->error, SendError::kUnknownSii);
  EXPECT_TRUE(world.sent.empty());
}

TEST_F(State, LooseEndFindsTheFirstNode) {
  // RFC5971: 5.8.2.2-1, 5.8-1
  build();
  SendMessage s = message();
  s.mri = LooseEndMri{Direction::kDownstream, a->address, b->address};
  a->send(s);
  EXPECT_EQ(world.sent.at(0).datagram.destination, b->address);
  world.run_for(seconds(1));
  EXPECT_EQ(m->core().responding_states(), 1u);
}

TEST_F(State, Ipv6Works) {
  // RFC5971: 5.2.2-4, 7.4-1, 5.8.1.2-2
  a = &world.add("a", tls_config(), true);
  m = &world.add("m", tls_config(), true);
  b = &world.add("b", tls_config(), true);
  world.link(*a, *m);
  world.link(*m, *b);
  session = world.session();
  SendMessage s = reliable();
  auto mri = std::get<PathCoupledMri>(World::flow(*a, *b));
  mri.flow_label = 0x12345;
  mri.dscp = 46;
  s.mri = mri;
  a->send(s);
  EXPECT_EQ(world.sent.at(0).datagram.flow_label, 0x12345u);
  EXPECT_EQ(world.sent.at(0).datagram.dscp, 46);
  EXPECT_TRUE(world.sent.at(0).datagram.destination.is_v6());
  EXPECT_TRUE(sent(MessageType::kQuery).at(0).nli->interface_address.is_v6());
  world.run_for(seconds(1));
  EXPECT_EQ(a->status_of(1)->error, SendError::kNone);
  EXPECT_EQ(m->received.back().mri, Mri(mri));
}

TEST_F(State, DModeIsRateLimited) {
  // RFC5971: 5.3.3-8, 5.3.3-9
  Config config = base_config();
  config.send_rate = 10;
  config.send_burst = 5;
  config.send_queue = 20;
  build(config);
  for (int i = 0; i < 40; ++i) {
    SendMessage s = message();
    s.attributes.stateless = true;
    s.handle = MessageHandle(static_cast<std::uint64_t>(i + 1));
    a->send(s);
  }
  EXPECT_EQ(a->status_of(25)->error, SendError::kNone);
  EXPECT_EQ(a->status_of(26)->error, SendError::kOverload);
  EXPECT_EQ(world.sent.size(), 5u);
  EXPECT_EQ(a->core().waiting_datagrams(), 20u);
  EXPECT_EQ(a->count(Event::Type::kRateLimited), 15u);
  world.run_for(milliseconds(1001));
  EXPECT_EQ(world.sent.size(), 15u);
  world.run_for(milliseconds(1000));
  EXPECT_EQ(world.sent.size(), 25u);
}

TEST_F(State, StateIsSmall) {
  EXPECT_LE(sizeof(Querying), 256u);
  EXPECT_LE(sizeof(Responding), 256u);
}

}  // namespace
}  // namespace netserv::gist::testing
