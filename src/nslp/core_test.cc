#include "nslp/core.h"

#include <gtest/gtest.h>

#include "nslp/testing/path.h"
#include "wire/ncm/status.h"

namespace netserv::nslp::testing {
namespace {

const IpAddress kHere = IpAddress::v4(0x0a000001), kFrom = IpAddress::v4(0x0a000101), kTo = IpAddress::v4(0x0a000201);

// One node, with the test as GIST and as its neighbours.
class CoreTest : public ::testing::Test {
 protected:
  CoreTest() : sessions(1) {
    Config c;
    c.node = "here";
    c.address = kHere;
    c.local = {kHere};
    core = std::make_unique<Core>(c, sessions);
  }
  gist::RecvMessage from_gist(const Message& m, bool downstream = true) {
    gist::RecvMessage r;
    r.data = *encode(m);
    r.nslp = kDefaultNslpId;
    r.session.bytes[0] = std::byte(9);
    r.mri = flow(kFrom, kTo);
    if (!downstream) r.mri = gist::inverted(r.mri);
    r.attributes.state_validated = true;
    return r;
  }
  Request request(std::uint32_t id = 1, const std::string& more = "") {
    Request r;
    r.id = id;
    r.time_left = seconds(10);
    r.ncm = *ncm::parse_message("REMOVE a_1 NETSERV/0.1\nuser:u\n" + more + "\n");
    return r;
  }
  template <class T>
  static std::vector<T> of(const Outputs& outputs) {
    std::vector<T> out;
    for (const Output& o : outputs)
      if (auto* t = std::get_if<T>(&o)) out.push_back(*t);
    return out;
  }
  gist::MessageStatus status(gist::MessageHandle handle, gist::SendError error) {
    gist::MessageStatus s;
    s.handle = handle;
    s.nslp = kDefaultNslpId;
    s.error = error;
    return s;
  }
  CountingSessions sessions;
  std::unique_ptr<Core> core;
  TimePoint now{seconds(1000)};
};

TEST_F(CoreTest, DuplicatesNeitherAskNorAnswerTwiceBeforeTheAnswer) {
  Outputs o = core->received(from_gist(request()), now);
  EXPECT_EQ(of<AskController>(o).size(), 1u);
  EXPECT_EQ(of<gist::SendMessage>(o).size(), 1u);
  const auto ask = of<AskController>(o)[0];
  const auto handle = of<gist::SendMessage>(o)[0].handle;
  EXPECT_TRUE(core->received(from_gist(request()), now).empty());
  EXPECT_TRUE(core->status(status(handle, gist::SendError::kNoNextNode), now).empty());
  o = core->controller_answered(ask.ticket, answer(ncm::StatusCode::kRemoved, "a_1"), now);
  ASSERT_EQ(of<gist::SendMessage>(o).size(), 1u);
  const Bytes first = of<gist::SendMessage>(o)[0].data;
  EXPECT_EQ(direction_of(of<gist::SendMessage>(o)[0].mri), gist::Direction::kUpstream);
  // From now on the same bytes again, and no question.
  o = core->received(from_gist(request()), now + seconds(3));
  ASSERT_EQ(of<gist::SendMessage>(o).size(), 1u);
  EXPECT_EQ(of<gist::SendMessage>(o)[0].data, first);
  EXPECT_TRUE(of<AskController>(o).empty());
}

TEST_F(CoreTest, OldAndForgedRequestsAreDropped) {
  (void)core->received(from_gist(request(5)), now);
  EXPECT_TRUE(of<AskController>(core->received(from_gist(request(4)), now)).empty());
  EXPECT_TRUE(of<AskController>(core->received(from_gist(request(5, "ttl:1\n")), now)).empty());
  EXPECT_EQ(of<AskController>(core->received(from_gist(request(6)), now)).size(), 1u);
  // Upstream requests, downstream responses, payloads outside routing state, bytes.
  EXPECT_TRUE(of<AskController>(core->received(from_gist(request(7), false), now)).empty());
  gist::RecvMessage stray = from_gist(request(8));
  stray.attributes.state_validated = false;
  EXPECT_TRUE(of<AskController>(core->received(stray, now)).empty());
  stray = from_gist(request(9));
  stray.data = Bytes(40, std::byte{0xff});
  EXPECT_EQ(of<Event>(core->received(stray, now)).size(), 1u);
  EXPECT_TRUE(of<gist::SendMessage>(core->received(from_gist(Response{6, {}, {}}, true), now)).empty());
}

TEST_F(CoreTest, QueriesAreJoinedByNodesAndLeftAloneByHosts) {
  gist::RecvMessage query = from_gist(request());
  query.data.clear();
  query.check = gist::QueryTicket(3);
  EXPECT_TRUE(of<AnswerQuery>(core->received(query, now)).at(0).peer);
  Config c;
  c.hosts_modules = false;
  c.local = {kHere};
  Core host(c, sessions);
  EXPECT_FALSE(of<AnswerQuery>(host.received(query, now)).at(0).peer);
  query.mri = flow(kFrom, kHere);
  EXPECT_TRUE(of<AnswerQuery>(host.received(query, now)).at(0).peer);
}

TEST_F(CoreTest, RetransmitsUntilTheAnswerComes) {
  Outputs o = core->received(from_gist(request()), now);
  (void)core->controller_answered(of<AskController>(o)[0].ticket, answer(ncm::StatusCode::kRemoved, "a_1"), now);
  (void)core->status(status(of<gist::SendMessage>(o)[0].handle, gist::SendError::kNone), now);
  for (int i = 0; i < 2; ++i) {
    now = *core->next_deadline();
    o = core->on_time(now);
    ASSERT_EQ(of<gist::SendMessage>(o).size(), 1u);
    (void)core->status(status(of<gist::SendMessage>(o)[0].handle, gist::SendError::kNone), now);
  }
  EXPECT_EQ(now, TimePoint(seconds(1003)));  // after 1 and 2 s
  Response r{1, {}, {}};
  Entry e;
  e.node = "next";
  r.stack.push_back(e);
  o = core->received(from_gist(r, false), now);
  ASSERT_EQ(of<gist::SendMessage>(o).size(), 1u);
  const auto sent = std::get<Response>(*decode(of<gist::SendMessage>(o)[0].data));
  ASSERT_EQ(sent.stack.size(), 2u);
  EXPECT_EQ(sent.stack[0].node, "here");
  EXPECT_EQ(sent.stack[0].wait, seconds(3));
  EXPECT_EQ(sent.stack[0].residence, seconds(3));
  // The same response again is no event.
  EXPECT_TRUE(of<gist::SendMessage>(core->received(from_gist(r, false), now)).empty());
}

TEST_F(CoreTest, LosesNothingWhenGistdRestarts) {
  Outputs o = core->received(from_gist(request()), now);
  o = core->gist_back(now);
  EXPECT_EQ(of<gist::SendMessage>(o).size(), 1u);
  EXPECT_TRUE(of<AskController>(o).empty());
}

TEST_F(CoreTest, UnknownObjectsGoOn) {
  Request r = request();
  r.foreign.push_back({77, Bytes(4, std::byte{7})});
  Outputs o = core->received(from_gist(r), now);
  EXPECT_EQ(std::get<Request>(*decode(of<gist::SendMessage>(o).at(0).data)).foreign, r.foreign);
}

TEST_F(CoreTest, AnswerTooLongForADatagramLosesItsBodyRatherThanItself) {
  Outputs o = core->received(from_gist(request()), now);
  const auto handle = of<gist::SendMessage>(o)[0].handle;
  ncm::Response big = answer(ncm::StatusCode::kOk, "a_1");
  big.body = std::string(2000, 'x');
  (void)core->controller_answered(of<AskController>(o)[0].ticket, big, now);
  o = core->status(status(handle, gist::SendError::kNoNextNode), now);
  const auto whole = of<gist::SendMessage>(o).at(0);
  EXPECT_TRUE(whole.attributes.reliable);
  o = core->status(status(whole.handle, gist::SendError::kNoAssociation), now);
  const auto cut = of<gist::SendMessage>(o).at(0);
  EXPECT_FALSE(cut.attributes.reliable);
  EXPECT_TRUE(std::get<Response>(*decode(cut.data)).stack[0].body_left_out);
  EXPECT_TRUE(of<gist::SendMessage>(core->status(status(cut.handle, gist::SendError::kTooLarge), now)).empty());
}

// What a peer made this node ask or remember.
TEST_F(CoreTest, QuestionsAreBoundedAndForgottenWithTheirRequests) {
  Config c = core->config();
  c.max_asked = 2;
  Core small(c, sessions);
  const auto arrives = [&](int session, std::uint32_t id) {
    gist::RecvMessage m = from_gist(request(id));
    m.session.bytes[1] = std::byte(session);
    return small.received(m, now);
  };
  EXPECT_EQ(of<AskController>(arrives(1, 1)).size(), 1u);
  for (std::uint32_t id = 2; id < 50; ++id) EXPECT_EQ(of<AskController>(arrives(1, id)).size(), 1u) << "in its place";
  EXPECT_EQ(small.questions(), 1u);
  EXPECT_EQ(of<AskController>(arrives(2, 1)).size(), 1u);
  Outputs o = arrives(3, 1);
  EXPECT_TRUE(of<AskController>(o).empty());
  ASSERT_EQ(of<gist::SendMessage>(o).size(), 1u) << "goes on along the path";
  o = small.status(status(of<gist::SendMessage>(o)[0].handle, gist::SendError::kNoNextNode), now);
  const auto answered = std::get<Response>(*decode(of<gist::SendMessage>(o).at(0).data));
  EXPECT_EQ(answered.stack.at(0).code, ncm::StatusCode::kOverloaded);
}

TEST_F(CoreTest, WhatPeersMakeItHoldIsBounded) {
  Config c = core->config();
  c.max_held = 5000;
  Core small(c, sessions);
  int acted = 0;
  for (int i = 0; i < 10; ++i) {
    gist::RecvMessage m = from_gist(request(1, "x:" + std::string(1500, 'x') + "\n"));
    m.session.bytes[1] = std::byte(i);
    acted += of<AskController>(small.received(m, now)).size() == 1;
  }
  EXPECT_EQ(acted, 3);
  while (small.next_deadline()) (void)small.on_time(now = *small.next_deadline());
  EXPECT_EQ(small.sessions(), 0u);
  EXPECT_EQ(of<AskController>(small.received(from_gist(request()), now)).size(), 1u) << "given back";
}

TEST_F(CoreTest, PartsWaitForEachOtherNoLongerThanARequest) {
  Request large = request();
  for (int i = 0; i < 4; ++i) large.ncm.set("x" + std::to_string(i), std::string(6000, 'x'));
  const std::vector<Bytes> parts = split(encode(large).value(), large.id);
  ASSERT_EQ(parts.size(), 2u);
  gist::RecvMessage first = from_gist(request()), second = first;
  first.data = parts[0];
  second.data = parts[1];
  EXPECT_TRUE(of<AskController>(core->received(first, now)).empty());
  now += core->config().max_time + seconds(1);
  EXPECT_TRUE(of<AskController>(core->received(second, now)).empty()) << "half of it is gone";
  EXPECT_EQ(of<AskController>(core->received(first, now)).size(), 1u);
}

TEST_F(CoreTest, PeersLeaveSessionsToLocalPrograms) {
  Config c = core->config();
  c.max_sessions = 8;
  Core small(c, sessions);
  for (int i = 0; i < 20; ++i) {
    gist::RecvMessage m = from_gist(request());
    m.session.bytes[1] = std::byte(i);
    (void)small.received(m, now);
  }
  EXPECT_EQ(small.sessions(), 7u);
  Start s;
  s.source = kHere;
  s.destination = kTo;
  s.ncm = request().ncm;
  EXPECT_TRUE(small.start(s, now));
}

TEST_F(CoreTest, ANewerRequestEndsTheOneBefore) {
  Start s;
  s.ticket = ClientTicket(1);
  s.source = kHere;
  s.destination = kTo;
  s.ncm = request().ncm;
  EXPECT_TRUE(of<Finished>(core->start(s, now).value()).empty());
  s.ticket = ClientTicket(2);
  const auto ended = of<Finished>(core->start(s, now).value());
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].ticket, ClientTicket(1));
}

TEST_F(CoreTest, BehindANatTowardMayBeTheNatsAddress) {
  const IpAddress nat = IpAddress::v4(0xc6336401);
  Config c = core->config();
  c.outside = {nat};
  Core behind(c, sessions);
  const auto asked = [&](Core& node, const std::string& toward) {
    gist::RecvMessage m = from_gist(request(1, "toward:" + toward + "\n"));
    m.session.bytes[1] = std::byte(toward.size());
    return of<AskController>(node.received(m, now)).size();
  };
  EXPECT_EQ(asked(behind, nat.to_string()), 1u);
  EXPECT_EQ(asked(behind, "203.0.113.200"), 0u) << "any other path";
  EXPECT_EQ(asked(*core, nat.to_string()), 0u) << "where the operator says nothing of it";
}

TEST_F(CoreTest, ThePathsEndSaysWhyItIsOne) {
  Outputs o = core->received(from_gist(request()), now);
  const auto ask = of<AskController>(o)[0];
  gist::MessageStatus refused = status(of<gist::SendMessage>(o)[0].handle, gist::SendError::kRefused);
  refused.gist_code = 9;
  refused.gist_subcode = 4;
  (void)core->status(refused, now);
  o = core->controller_answered(ask.ticket, answer(ncm::StatusCode::kRemoved, "a_1"), now);
  const auto stack = std::get<Response>(*decode(of<gist::SendMessage>(o).at(0).data)).stack;
  ASSERT_EQ(stack.size(), 2u);
  EXPECT_EQ(stack[1].code, ncm::StatusCode::kPathFailed);
  EXPECT_NE(stack[1].text.find("NAT"), std::string::npos) << stack[1].text;
}

TEST_F(CoreTest, SessionsAreBounded) {
  Config c = core->config();
  c.max_sessions = 2;  // an eighth of that is none
  Core small(c, sessions);
  for (int i = 0; i < 4; ++i) {
    gist::RecvMessage m = from_gist(request());
    m.session.bytes[1] = std::byte(i);
    Outputs o = small.received(m, now);
    EXPECT_EQ(of<AskController>(o).size(), i < 2 ? 1u : 0u);
    if (i >= 2) {
      const auto answered = std::get<Response>(*decode(of<gist::SendMessage>(o).at(0).data));
      EXPECT_EQ(answered.stack[0].code, ncm::StatusCode::kOverloaded);
    }
  }
  EXPECT_EQ(small.sessions(), 2u);
}

}  // namespace
}  // namespace netserv::nslp::testing
