// Messaging associations: set-up, Confirm first, re-use, hello, failure, tampering, authorisation.
#include "gist/testing/fixture.h"

namespace netserv::gist::testing {
namespace {

using Associations = LineTest;

TEST_F(Associations, ReliableMessageSetsOneUp) {
  // RFC5971: 4.4.1-2, 4.4.1-3, 4.4.1-6, 4.4.1-7, 4.4.5-2, 5.1-4, 5.1-9, 5.1-10, 5.1-11, 5.1-14, 5.1-15, 5.1-16,
  // RFC5971: 5.7.2-2, 5.7.2-3, 6.2-1
  build();
  a->send(reliable());
  world.run_for(seconds(2));
  const Message query = sent(MessageType::kQuery).at(0);
  const Message response = sent(MessageType::kResponse).at(0);
  EXPECT_FALSE(query.nslp_data) << "a reliable message does not ride in a Query";
  ASSERT_TRUE(query.stack_proposal);
  EXPECT_EQ(query.stack_proposal->profiles, (std::vector<StackProfile>{{1}}));
  ASSERT_EQ(query.stack_configuration->options.size(), 1u);
  EXPECT_EQ(query.stack_configuration->options[0].protocol, 1);
  EXPECT_TRUE(query.stack_configuration->options[0].data.empty());
  EXPECT_TRUE(response.responder_cookie);
  EXPECT_TRUE(response.header.reply_requested);
  EXPECT_EQ(forwards_tcp_port(*response.stack_configuration, 1), 30000);
  EXPECT_TRUE(sent(MessageType::kConfirm).empty());
  ASSERT_EQ(world.on_associations.size(), 2u);
  const Message confirm = on_associations(MessageType::kConfirm, a).at(0);
  EXPECT_EQ(decode_message(world.on_associations[0].second, Transport::kStream)->type(), MessageType::kConfirm)
      << "before any other message";
  EXPECT_EQ(confirm.responder_cookie, response.responder_cookie);
  EXPECT_EQ(confirm.stack_proposal, response.stack_proposal);
  ASSERT_TRUE(confirm.stack_configuration);
  EXPECT_TRUE(confirm.stack_configuration->options.empty());
  EXPECT_EQ(confirm.stack_configuration->hold_time, Milliseconds(30000));
  const Message data = on_associations(MessageType::kData, a).at(0);
  EXPECT_FALSE(data.nli);
  EXPECT_TRUE(data.header.source_is_signalling);
  ASSERT_EQ(m->received.size(), 2u);
  EXPECT_TRUE(m->received[1].attributes.reliable);
  EXPECT_TRUE(m->received[1].attributes.state_validated);
  EXPECT_TRUE(a->status_of(1)->attributes.reliable);
}

TEST_F(Associations, BothDirectionsUseIt) {
  // RFC5971: 4.1.2-1, 4.1.2-2, 4.3.3-6
  build();
  for (std::uint64_t i = 1; i <= 10; ++i) {
    SendMessage s = reliable(i);
    s.data = words(1, static_cast<int>(i));
    a->send(s);
  }
  world.run_for(seconds(1));
  SendMessage back = answer(99);
  back.attributes.reliable = true;
  m->send(back);
  world.run_for(seconds(1));
  ASSERT_EQ(m->received.size(), 11u);
  for (std::size_t i = 1; i <= 10; ++i) EXPECT_EQ(m->received[i].data, words(1, static_cast<int>(i)));
  ASSERT_EQ(a->received.size(), 1u);
  EXPECT_TRUE(a->received[0].attributes.reliable);
  EXPECT_EQ(a->received[0].mri, World::flow(*a, *b, Direction::kUpstream));
  EXPECT_EQ(m->core().associations(), 1u);
}

TEST_F(Associations, EachMessageGoesAtOnce) {
  // RFC5971: 5.4-1
  build();
  a->send(reliable());
  world.run_for(seconds(1));
  for (std::uint64_t i = 2; i <= 4; ++i) {
    std::vector<Bytes> given;
    const Outputs outputs = a->core().send(reliable(i), world.now());
    for (const Output& o : outputs)
      if (const auto* s = std::get_if<SendOnAssociation>(&o)) given.push_back(s->bytes);
    ASSERT_EQ(given.size(), 1u) << "a connection of its own write, not bundled with later ones";
    EXPECT_EQ(decode_message(given[0], Transport::kStream).value().type(), MessageType::kData);
  }
}

TEST_F(Associations, ReUsedForTheNextSession) {
  // RFC5971: 5.1-7
  build();
  a->send(reliable());
  world.run_for(seconds(1));
  const std::size_t responses = sent(MessageType::kResponse).size();
  session = world.session();
  a->send(reliable(2));
  world.run_for(seconds(1));
  EXPECT_EQ(sent(MessageType::kResponse).size(), responses) << "the Response comes over the association";
  ASSERT_EQ(on_associations(MessageType::kResponse, m).size(), 1u);
  EXPECT_FALSE(on_associations(MessageType::kResponse, m)[0].stack_proposal);
  EXPECT_EQ(a->core().associations(), 1u);
  EXPECT_EQ(a->status_of(2)->error, SendError::kNone);
  EXPECT_EQ(m->received.back().session, session);
}

TEST_F(Associations, AnotherPeerIdentityIsAnotherPeer) {
  // RFC5971: 4.4.3-3
  build();
  a->send(reliable());
  world.run_for(seconds(1));
  session = world.session();
  bend(MessageType::kQuery, [](Message& q, Datagram&) { q.nli->peer_identity[0] ^= std::byte{1}; });
  a->send(reliable(2));
  world.run_for(milliseconds(11));
  EXPECT_TRUE(on_associations(MessageType::kResponse, m).empty());
  EXPECT_EQ(sent(MessageType::kResponse).size(), 2u);
}

TEST_F(Associations, DataLaterAsksForOne) {
  build();
  a->send(message());
  world.run_for(seconds(1));
  EXPECT_EQ(a->core().associations(), 0u);
  a->send(reliable(2));
  world.run_for(seconds(1));
  EXPECT_EQ(a->status_of(2)->error, SendError::kNone);
  EXPECT_EQ(m->core().associations(), 1u);
  EXPECT_EQ(m->received.back().attributes.reliable, true);
}

TEST_F(Associations, FlowControlReachesTheSender) {
  // RFC5971: 4.1.1-1
  build();
  a->send(reliable(1));
  world.run_for(seconds(1));
  const AssociationId id = querying()->association;
  a->core().association_congested(id, true);
  const std::size_t before = m->received.size();
  a->send(reliable(2));
  world.run_for(seconds(40));  // past a refresh: GIST's own messages still go
  EXPECT_EQ(a->status_of(2)->error, SendError::kOverload);
  EXPECT_EQ(m->received.size(), before);
  EXPECT_EQ(querying()->association, id);
  a->core().association_congested(id, false);
  a->send(reliable(3));
  world.run_for(seconds(1));
  EXPECT_EQ(a->status_of(3)->error, SendError::kNone);
  EXPECT_EQ(m->received.size(), before + 1);
}

TEST_F(Associations, NoneIsPossible) {
  Config config;
  config.use_tcp = false;
  build(config);
  a->send(reliable());
  world.run_for(seconds(5));
  EXPECT_EQ(a->status_of(1)->error, SendError::kNoAssociation);
}

TEST_F(Associations, ThePeerOffersNone) {
  build();
  // The responder's option says that TCP must not be used.
  // RFC5971: 5.7.1-1, A.3.5-2
  bend(MessageType::kResponse, [](Message& r, Datagram&) { r.stack_configuration->options[0].do_not_use = true; });
  a->send(reliable());
  world.run_for(seconds(1));
  EXPECT_EQ(a->status_of(1)->error, SendError::kNoAssociation);
  EXPECT_EQ(a->core().associations(), 0u);
  EXPECT_EQ(m->core().associations(), 0u);
}

TEST_F(Associations, ConnectionFailureIsReported) {
  // RFC5971: 4.1.2-3, 5.7.2-4, 6.4-1, 6.4-2
  build();
  a->send(reliable());
  world.run_for(seconds(1));
  const std::size_t queries = sent(MessageType::kQuery).size();
  a->notifications.clear();
  world.break_connections(*m);
  world.run_for(milliseconds(2));
  EXPECT_EQ(a->notified(NetworkNotification::Type::kCommunicationFailure), 1u);
  EXPECT_EQ(a->notifications[0].session, session);
  EXPECT_EQ(a->notifications[0].mri, World::flow(*a, *b));
  EXPECT_EQ(sent(MessageType::kQuery).size(), queries + 1) << "a new handshake begins";
  world.run_for(seconds(1));
  a->send(reliable(2));
  world.run_for(seconds(1));
  EXPECT_EQ(a->status_of(2)->error, SendError::kNone);
  EXPECT_EQ(a->core().associations(), 1u);
}

TEST_F(Associations, HopelessConnectionsAreGivenUp) {
  build();
  bend(MessageType::kResponse, [](Message& r, Datagram&) {
    if (r.stack_configuration) r.stack_configuration->options[0] = forwards_tcp_option(1, 1);
  });
  a->send(reliable());
  world.run_for(seconds(30));
  EXPECT_EQ(a->status_of(1)->error, SendError::kNoAssociation);
  EXPECT_EQ(a->core().querying_states(), 0u);
  EXPECT_EQ(flights(MessageType::kQuery).size(), 3u);
}

TEST_F(Associations, TamperedProposalTearsThemDown) {
  // RFC5971: 5.7.1-10, 5.7.1-11, 5.7.1-12
  build(tls_config());
  // Somebody on the path strikes TLS off the responder's offer; the Confirm shows it.
  bend(MessageType::kResponse, [](Message& r, Datagram&) {
    r.stack_proposal->profiles = {{1}};
    r.stack_configuration->options = {forwards_tcp_option(30000, 1)};
  });
  a->send(reliable());
  world.run_for(milliseconds(200));
  EXPECT_GE(m->count(Event::Type::kStackTampered), 1u);
  EXPECT_EQ(m->core().responding_states(), 0u);
  EXPECT_EQ(m->core().associations(), 0u);
  for (const RecvMessage& r : m->received) EXPECT_TRUE(r.check) << "Queries, but no Data";
}

TEST_F(Associations, ProposalDoesNotDependOnTheQuery) {
  // RFC5971: 5.7.1-7, 5.7.1-6
  build(tls_config());
  a->send(reliable());
  SendMessage s = reliable(2);
  s.session = world.session();
  s.attributes.secure = true;
  a->send(s);
  lose(MessageType::kConfirm);
  world.run_for(milliseconds(11));
  const std::vector<Message> queries = sent(MessageType::kQuery), responses = sent(MessageType::kResponse);
  ASSERT_EQ(responses.size(), 2u);
  EXPECT_EQ(queries[0].stack_proposal->profiles, (std::vector<StackProfile>{{2, 1}, {1}}));
  EXPECT_EQ(queries[1].stack_proposal->profiles, (std::vector<StackProfile>{{2, 1}})) << "nothing weaker for this one";
  EXPECT_EQ(responses[0].stack_proposal, responses[1].stack_proposal);
}

TEST_F(Associations, FirstConfirmNeedsTheHoldTime) {
  // RFC5971: 4.4.5-3
  build();
  const AssociationId id = m->core().accept_association({a->address, false, {}}, world.now());
  lose(MessageType::kResponse);
  a->send(reliable());
  world.run_for(milliseconds(11));
  const Message response = sent(MessageType::kResponse).at(0);
  Message confirm;
  confirm.header.type = static_cast<std::uint8_t>(MessageType::kConfirm);
  confirm.header.hops = 3;
  confirm.header.nslp = kNslp;
  confirm.header.source_is_signalling = true;
  confirm.mri = World::flow(*a, *b);
  confirm.session = session;
  confirm.nli = sent(MessageType::kQuery).at(0).nli;
  confirm.responder_cookie = response.responder_cookie;
  confirm.stack_proposal = response.stack_proposal;
  m->perform(m->core().association_data(id, encode_message(confirm, Transport::kStream).value(), world.now()));
  const std::vector<Message> errors = on_associations(MessageType::kError, m);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_TRUE(errors[0].error->is(ErrorKind::kMissingObject));
  EXPECT_EQ(number_in(errors[0].error->info.at(0)), 4);
}

TEST_F(Associations, ConfirmOutsideIsRefused) {
  // RFC5971: 5.1-11, 5.5-1
  build();
  bend(MessageType::kResponse, [](Message& r, Datagram&) { r.stack_proposal.reset(), r.stack_configuration.reset(); });
  a->send(reliable());
  world.run_for(milliseconds(100));
  EXPECT_EQ(errors(m), std::vector<std::string>{"3/0"});
}

TEST_F(Associations, DataOfAnotherSessionIsIncorrectlyDelivered) {
  // RFC5971: 4.3.2-6, 4.3.2-7, 5.6-5
  build();
  a->send(reliable());
  world.run_for(seconds(1));
  const AssociationId id = responding()->association;
  Message data = on_associations(MessageType::kData).at(0);
  data.session->bytes[0] ^= std::byte{1};
  const std::size_t datagrams = world.sent.size(), received = m->received.size();
  m->perform(m->core().association_data(id, encode_message(data, Transport::kStream).value(), world.now()));
  const std::vector<Message> errors = on_associations(MessageType::kError, m);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_TRUE(errors[0].error->is(ErrorKind::kIncorrectlyDelivered));
  EXPECT_EQ(world.sent.size(), datagrams) << "back the way it came";
  EXPECT_EQ(m->received.size(), received);
}

TEST_F(Associations, QueryOnOneIsRefused) {
  // RFC5971: 5.5-1, 5.6-5
  build();
  a->send(reliable());
  world.run_for(seconds(1));
  Message query = sent(MessageType::kQuery).at(0);
  const Bytes datagram = encode_datagram(query).value();
  m->perform(m->core().association_data(responding()->association, ByteSpan(datagram).subspan(4), world.now()));
  EXPECT_TRUE(on_associations(MessageType::kError, m).at(0).error->is(ErrorKind::kIncorrectEncapsulation));
}

TEST_F(Associations, HelloKeepsThemOpenAndSilenceCloses) {
  // RFC5971: 4.4.5-1, 4.4.5-5, 4.4.5-6, 5.1-18
  build();
  a->send(reliable());
  world.run_for(seconds(1));
  a->perform(a->core().set_state_lifetime({kNslp, World::flow(*a, *b), session, {}}, world.now()));
  ASSERT_EQ(a->core().querying_states(), 0u);
  world.run_for(seconds(28));  // m's routing state still lives: m says hello, a keeps the association
  const std::vector<Message> hellos = on_associations(MessageType::kMaHello, m);
  ASSERT_GE(hellos.size(), 1u);
  EXPECT_EQ(hellos[0].hello_id, 0u);
  EXPECT_EQ(hellos[0].header.nslp, NslpId(0));
  EXPECT_EQ(a->core().associations(), 1u);
  world.run_for(seconds(90));  // neither needs it
  EXPECT_EQ(a->core().associations(), 0u);
  EXPECT_EQ(m->core().associations(), 0u);
}

TEST_F(Associations, HellosAreSpreadOverTheThirdQuarter) {
  // RFC5971: 4.4.5-5, 4.4.5-6
  Config config = base_config();
  config.validity = Milliseconds(3600000);  // no refreshes in between
  config.inactivity = std::chrono::hours(1);
  build(config);
  a->send(reliable());
  world.run_for(seconds(1));
  const auto count = [&] { return on_associations(MessageType::kMaHello, a).size(); };
  ASSERT_TRUE(world.run_until([&] { return count() == 1; }));
  std::set<Duration> gaps;
  for (std::size_t i = 2; i < 12; ++i) {
    const TimePoint last = world.now();
    ASSERT_TRUE(world.run_until([&] { return count() == i; }));
    EXPECT_GE(world.now() - last, seconds(15));
    EXPECT_LE(world.now() - last, milliseconds(22500));
    gaps.insert(world.now() - last);
  }
  EXPECT_GT(gaps.size(), 5u);
}

TEST_F(Associations, HelloRequestsAreAnswered) {
  // RFC5971: 5.1-19, 5.2.2-8, A.1-2
  build();
  a->send(reliable());
  world.run_for(seconds(1));
  Message hello;
  hello.header.type = static_cast<std::uint8_t>(MessageType::kMaHello);
  hello.header.hops = 1;
  hello.header.reply_requested = hello.header.source_is_signalling = true;
  hello.hello_id = 77;
  m->perform(m->core().association_data(responding()->association, encode_message(hello, Transport::kStream).value(),
                                        world.now()));
  const Message reply = on_associations(MessageType::kMaHello, m).back();
  EXPECT_EQ(reply.hello_id, 77u);
  EXPECT_FALSE(reply.header.reply_requested);
}

TEST_F(Associations, TlsPeerMustBeAuthorised) {
  // RFC5971: 4.4.1-4, 4.4.2-1
  build(tls_config());
  a->authority.replace({{"*.elsewhere.net", true, {}, {}, {}}});
  SendMessage s = reliable();
  s.attributes.secure = true;
  a->send(s);
  world.run_for(seconds(1));
  EXPECT_EQ(a->status_of(1)->error, SendError::kNoAssociation);
  EXPECT_EQ(a->core().associations(), 0u);
  EXPECT_EQ(a->core().querying_states(), 0u);
  EXPECT_EQ(a->notified(NetworkNotification::Type::kAuthorisationChange), 1u);
  EXPECT_TRUE(on_associations(MessageType::kConfirm).empty()) << "torn down without further exchanges";
}

TEST_F(Associations, TlsClientMustBeAuthorised) {
  // RFC5971: 4.4.1-4, 4.4.2-1
  build(tls_config());
  m->authority.replace({{"b.example.net", true, {}, {}, {}}});
  SendMessage s = reliable();
  s.attributes.secure = true;
  a->send(s);
  world.run_for(milliseconds(200));
  EXPECT_GE(m->count(Event::Type::kPeerRefused), 1u);
  EXPECT_EQ(m->core().responding_states(), 0u);
  EXPECT_EQ(m->core().associations(), 0u);
}

TEST_F(Associations, SecureMessagesGoOverTls) {
  build(tls_config());
  SendMessage s = message();
  s.attributes.secure = true;
  a->send(s);
  world.run_for(seconds(1));
  EXPECT_TRUE(a->status_of(1)->attributes.secure);
  EXPECT_TRUE(m->received.back().attributes.secure);
  EXPECT_TRUE(m->core().find_association(responding()->association)->tls);
}

TEST_F(Associations, StrongerThanAskedForIsGoodEnough) {
  build(tls_config());
  bend(MessageType::kQuery, [](Message& q, Datagram&) {
    if (!q.stack_proposal || q.stack_proposal->profiles.size() < 2) return;
    q.stack_proposal->profiles = {{1}};  // as if a could do no TLS
  });
  // The responder offers TLS and TCP; a connects by TLS, so that this association satisfies both.
  a->send(reliable());
  world.run_for(seconds(1));
  SendMessage s = reliable(2);
  s.session = world.session();
  s.attributes.secure = true;
  a->send(s);
  world.run_for(seconds(1));
  EXPECT_EQ(a->core().associations(), 1u) << "stronger than asked for is good enough";
}

// What the responder has with a querier that asks for security, or for either.
TEST_F(Associations, ResponsesTakeNoWeakerAssociationThanWasAskedFor) {
  // RFC5971: 5.7.1-8, 5.7.1-9
  Config config = tls_config();
  config.use_tls = false;
  build(config);
  a->send(reliable());
  world.run_for(seconds(1));
  ASSERT_EQ(m->core().associations(), 1u);
  Message query = sent(MessageType::kQuery, a).at(0);
  query.session = world.session();
  query.stack_proposal->profiles = {{2, 1}};
  const std::size_t before = sent(MessageType::kResponse, m).size();
  inject(query);
  ASSERT_EQ(sent(MessageType::kResponse, m).size(), before + 1);
  EXPECT_TRUE(sent(MessageType::kResponse, m).back().stack_proposal) << "another association is to be set up";
  EXPECT_TRUE(on_associations(MessageType::kResponse, m).empty());
  query.session = world.session();
  query.stack_proposal->profiles = {{2, 1}, {1}};
  inject(query);
  EXPECT_EQ(sent(MessageType::kResponse, m).size(), before + 1);
  EXPECT_EQ(on_associations(MessageType::kResponse, m).size(), 1u);
}

TEST_F(Associations, ChangedAuthorisationIsAppliedToOpenOnes) {
  // RFC5971: 4.4.2-2
  build(tls_config());
  SendMessage s = reliable();
  s.attributes.secure = true;
  a->send(s);
  world.run_for(seconds(1));
  ASSERT_EQ(m->core().associations(), 1u);
  m->perform(m->core().authorisation_changed(world.now()));
  EXPECT_EQ(m->core().associations(), 1u);
  m->authority.replace({{"a.example.net", false, {}, {}, {}}, {"*", true, {}, {}, {}}});
  m->perform(m->core().authorisation_changed(world.now()));
  EXPECT_EQ(m->core().associations(), 0u);
  EXPECT_EQ(m->core().responding_states(), 0u);
  EXPECT_EQ(m->notified(NetworkNotification::Type::kAuthorisationChange), 1u);
}

TEST_F(Associations, ReUseIsAuthorisedForTheNewFlow) {
  // RFC5971: 4.4.3-2
  build(tls_config());
  Node& c = world.add("c", tls_config());
  world.link(*m, c);
  // Only flows to b may be signalled for by a.
  m->authority.replace({{"a.example.net", true, {}, {}, Prefix(b->address, 32)}});
  SendMessage s = reliable();
  s.attributes.secure = true;
  a->send(s);
  world.run_for(seconds(1));
  ASSERT_EQ(m->core().responding_states(), 1u);
  s.mri = World::flow(*a, c);
  s.session = world.session();
  a->send(s);
  world.run_for(milliseconds(200));
  EXPECT_TRUE(on_associations(MessageType::kResponse, m).empty());
  EXPECT_EQ(m->core().responding_states(), 0u) << "the Confirm for that flow ends the association";
}

TEST_F(Associations, WhatWaitsForOneIsReportedWhateverEndsIt) {
  build();
  lose(MessageType::kResponse);
  a->send(message(1));
  a->send(message(2));
  a->perform(a->core().set_state_lifetime({kNslp, World::flow(*a, *b), session, {}}, world.now()));
  EXPECT_EQ(a->status_of(1)->error, SendError::kLost);
  EXPECT_EQ(a->status_of(2)->error, SendError::kLost);
  EXPECT_EQ(a->statuses.size(), 2u) << "once each";
}

TEST_F(Associations, SilentConnectionsAreClosed) {
  build();
  (void)m->core().accept_association({a->address, false, {}}, world.now());
  m->perform({});
  EXPECT_EQ(m->core().associations(), 1u);
  world.run_for(seconds(31));
  EXPECT_EQ(m->core().associations(), 0u);
}

TEST_F(Associations, GarbageOfAnotherVersionEndsThem) {
  build();
  const AssociationId id = m->core().accept_association({a->address, false, {}}, world.now());
  m->perform(m->core().association_data(id, Bytes(8, std::byte{0}), world.now()));
  EXPECT_EQ(m->core().associations(), 0u);
}

}  // namespace
}  // namespace netserv::gist::testing
