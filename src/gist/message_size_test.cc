// What is too large for a datagram: RFC 5971, 4.3.3 and 5.3.
#include "gist/testing/fixture.h"

namespace netserv::gist::testing {
namespace {

using MessageSize = LineTest;

TEST_F(MessageSize, LargeOnesGoOverAssociations) {
  // RFC5971: 4.3.3-3, 4.3.3-5
  build();
  SendMessage s = sized(1600);
  a->send(s);
  world.run_for(seconds(1));
  EXPECT_FALSE(sent(MessageType::kQuery).at(0).nslp_data);
  ASSERT_EQ(on_associations(MessageType::kData).size(), 1u);
  EXPECT_EQ(m->received.back().data.size(), 1600u);
  for (const Flight& f : world.sent) EXPECT_LE(f.datagram.payload.size() + 64, 576u);
}

TEST_F(MessageSize, KnownPathMtuDecides) {
  // RFC5971: 4.3.3-4
  build();
  a->path_mtu_known = 1400;
  SendMessage s = sized(800);
  a->send(s);
  world.run_for(seconds(1));
  EXPECT_EQ(sent(MessageType::kQuery).at(0).nslp_data, s.data);
  a->path_mtu_known = 300;
  session = world.session();
  s = sized(200, 2);
  a->send(s);
  world.run_for(seconds(1));
  EXPECT_EQ(on_associations(MessageType::kData).size(), 1u);
}

TEST_F(MessageSize, TheOperatorMayKnowThePaths) {
  build_with([](Config& c) { c.path_mtu = 1280; });
  SendMessage s = sized(800);
  a->send(s);
  world.run_for(seconds(1));
  EXPECT_EQ(sent(MessageType::kQuery).at(0).nslp_data, s.data);
  session = world.session();
  s = sized(1200, 2);
  a->send(s);
  world.run_for(seconds(1));
  EXPECT_FALSE(sent(MessageType::kQuery).back().nslp_data);
  EXPECT_EQ(on_associations(MessageType::kData).size(), 1u);
}

TEST_F(MessageSize, AQueryThatWasTooBigForTheWayGoesAgainWithoutItsPayload) {
  // RFC5971: 4.3.3-4
  build_with([](Config& c) { c.path_mtu = 1280; });
  SendMessage s = sized(800);
  lose(MessageType::kQuery, 1);
  a->send(s);
  ASSERT_EQ(sent(MessageType::kQuery).size(), 1u);
  Bytes quoted = flights(MessageType::kQuery).at(0).datagram.payload;
  Bytes forged = quoted;
  forged[forged.size() - 4 - s.data.size() - 1] ^= std::byte{1};  // the cookie's end
  a->perform(a->core().on_packet_too_big(forged, 600, world.now()));
  quoted.resize(548 - 28);  // as ICMP quotes it
  a->perform(a->core().on_packet_too_big(quoted, 20, world.now()));
  EXPECT_EQ(sent(MessageType::kQuery).size(), 1u);
  a->perform(a->core().on_packet_too_big(quoted, 600, world.now()));
  ASSERT_EQ(sent(MessageType::kQuery).size(), 2u) << "at once";
  EXPECT_FALSE(sent(MessageType::kQuery)[1].nslp_data);
  EXPECT_TRUE(sent(MessageType::kQuery)[1].stack_proposal);
  a->perform(a->core().on_packet_too_big(quoted, 600, world.now()));
  EXPECT_EQ(sent(MessageType::kQuery).size(), 2u) << "known";
  world.run_for(seconds(1));
  EXPECT_EQ(m->received.back().data, s.data);
  EXPECT_EQ(a->status_of(1)->error, SendError::kNone);
}

TEST_F(MessageSize, WhatIsTooLargeAndSentDuringTheHandshakeAsksForOneAfterwards) {
  // RFC5971: 4.3.3-3
  build();
  a->send(message());
  a->send(sized(1600, 2));
  a->send(message(3));
  world.run_for(seconds(1));
  std::vector<std::size_t> sizes;
  for (const RecvMessage& r : m->received) sizes.push_back(r.data.size());
  EXPECT_EQ(sizes, (std::vector<std::size_t>{8, 1600, 8}));
  EXPECT_EQ(a->status_of(2)->error, SendError::kNone);
  EXPECT_EQ(sent(MessageType::kQuery).size(), 2u);
}

TEST_F(MessageSize, WhatIsTooLargeFailsAloneWithoutOne) {
  build_with([](Config& c) { c.use_tcp = false; });
  a->send(message());
  a->send(sized(1600, 2));
  a->send(message(3));
  world.run_for(seconds(5));
  EXPECT_EQ(a->status_of(2)->error, SendError::kNoAssociation);
  EXPECT_EQ(a->status_of(3)->error, SendError::kNone);
  EXPECT_EQ(m->received.size(), 2u);
}

}  // namespace
}  // namespace netserv::gist::testing
