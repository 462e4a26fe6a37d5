// One Response for a Query, and what becomes of the state when the Confirm does not come.
#include "gist/testing/fixture.h"

namespace netserv::gist::testing {
namespace {

using Confirms = LineTest;

// 8.4: no Query makes a node send more than one packet, whatever becomes of it.
TEST_F(Confirms, AResponseIsSentOnlyAsTheAnswerToAQuery) {
  // RFC5971: 6.3-2
  build();
  lose(MessageType::kConfirm);
  a->send(message());
  world.run_for(milliseconds(100));
  ASSERT_EQ(responding()->state, RespondingState::kAwaitingConfirm);
  const Datagram query = flights(MessageType::kQuery).at(0).datagram;
  a->perform(a->core().set_state_lifetime({kNslp, World::flow(*a, *b), session, {}}, world.now()));
  world.run_for(seconds(29));
  EXPECT_EQ(sent(MessageType::kResponse).size(), 1u);
  ASSERT_EQ(m->core().responding_states(), 1u);
  Datagram again = query;
  again.ttl = 63;
  again.interface = 1;
  world.inject(*m, again);  // is answered, and the wait for the Confirm begins anew
  EXPECT_EQ(sent(MessageType::kResponse).size(), 2u);
  world.run_for(seconds(29));
  EXPECT_EQ(m->core().responding_states(), 1u);
  world.run_for(seconds(100));
  EXPECT_EQ(m->core().responding_states(), 0u);
  EXPECT_EQ(sent(MessageType::kResponse).size(), 2u);
}

TEST_F(Confirms, LostConfirmIsRepairedByTheNextQuery) {
  build_with([](Config& c) { c.inactivity = std::chrono::hours(1); });
  lose(MessageType::kConfirm, 1);
  a->send(message());
  world.run_for(milliseconds(100));
  ASSERT_EQ(responding()->state, RespondingState::kAwaitingConfirm);
  m->send(answer(7));  // waits
  world.run_for(seconds(23));
  EXPECT_EQ(responding()->state, RespondingState::kEstablished) << "by the refresh";
  EXPECT_EQ(a->received.size(), 1u);
  EXPECT_EQ(sent(MessageType::kResponse).size(), sent(MessageType::kQuery).size());
}

TEST_F(Confirms, LostConfirmIsRepairedByDataAtOnce) {
  build();
  lose(MessageType::kConfirm, 1);
  a->send(message());
  world.run_for(milliseconds(100));
  a->send(message(2));
  world.run_for(milliseconds(100));
  EXPECT_EQ(errors(m), std::vector<std::string>{"5/0"});
  EXPECT_EQ(responding()->state, RespondingState::kEstablished);
  EXPECT_EQ(sent(MessageType::kResponse).size(), 2u);
}

TEST_F(Confirms, ConfirmOfARefreshMayBeLost) {
  build_with([](Config& c) { c.inactivity = std::chrono::hours(1); });
  a->send(message());
  world.run_for(seconds(1));
  lose(MessageType::kConfirm, 1);
  world.run_for(seconds(120));
  EXPECT_EQ(responding()->state, RespondingState::kEstablished);
  EXPECT_EQ(m->count(Event::Type::kStateDeleted), 0u) << "its Query was the installed peer's";
}

// Neither do Queries that somebody recorded and replays keep the state of a peer that is gone.
TEST_F(Confirms, ReplayedQueriesDoNotKeepState) {
  build();
  a->send(message());
  world.run_for(seconds(1));
  const Message query = sent(MessageType::kQuery).at(0);
  a->perform(a->core().set_state_lifetime({kNslp, World::flow(*a, *b), session, {}}, world.now()));
  for (int i = 0; i < 8; ++i) {
    world.run_for(seconds(7));
    if (responding()) inject(query);
  }
  EXPECT_EQ(m->core().responding_states(), 0u);
}

// Nor does somebody else's Query keep the state of a peer that is gone.
TEST_F(Confirms, OnlyTheInstalledPeersQueryExtendsItsState) {
  build();
  a->send(message());
  world.run_for(seconds(1));
  Message query = sent(MessageType::kQuery).at(0);
  a->perform(a->core().set_state_lifetime({kNslp, World::flow(*a, *b), session, {}}, world.now()));
  query.nli->peer_identity[0] ^= std::byte{1};
  for (int i = 0; i < 4; ++i) {
    world.run_for(seconds(7));
    inject(query);
  }
  EXPECT_EQ(responding()->state, RespondingState::kAwaitingRefresh);
  world.run_for(seconds(2));
  EXPECT_EQ(m->core().responding_states(), 0u);
}

TEST_F(Confirms, ResponsesAreLittleLongerThanTheirQueries) {
  for (const ResponderPolicy policy : {ResponderPolicy::kImmediate, ResponderPolicy::kAwaitConfirm, ResponderPolicy::kDelayed}) {
    for (const bool wants_association : {false, true}) {
      SCOPED_TRACE(std::to_string(static_cast<int>(policy)) + (wants_association ? ", association" : ""));
      Config config = tls_config();
      config.responder_policy = policy;
      build(config);
      m->on_query = [](const RecvMessage&) { return QueryAnswer{true, words(100)}; };
      a->send(wants_association ? reliable() : message());
      world.run_for(milliseconds(11));
      const Bytes query = flights(MessageType::kQuery).back().datagram.payload;
      const Bytes response = flights(MessageType::kResponse).back().datagram.payload;
      EXPECT_LE(response.size(), 3 * query.size());
      EXPECT_FALSE(decode_datagram(response)->nslp_data) << "a payload four times as long as the Query";
    }
  }
}

TEST_F(Confirms, ExtraConfirmsAreIgnored) {
  // RFC5971: 6.3-1
  build();
  a->send(message());
  world.run_for(seconds(1));
  const std::size_t before = world.sent.size();
  world.inject(*m, flights(MessageType::kConfirm).at(0).datagram);
  EXPECT_EQ(world.sent.size(), before);
  EXPECT_EQ(responding()->state, RespondingState::kEstablished);
}

}  // namespace
}  // namespace netserv::gist::testing
