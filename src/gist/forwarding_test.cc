// Interception, bypass of applications not hosted, and the Errors that a bypassing node may send.
#include "gist/forward.h"
#include "gist/testing/fixture.h"

namespace netserv::gist::testing {
namespace {

using Forwarding = LineTest;

Datagram query_datagram(LineTest*, const Datagram& like, Bytes payload) {
  Datagram d = like;
  d.payload = std::move(payload);
  return d;
}

// What `node` makes of a datagram, not performed.
Outputs raw(Node& node, const Datagram& d, World& world) { return node.core().on_datagram(d, world.now()); }

template <class T>
std::vector<T> only(const Outputs& outputs) {
  std::vector<T> out;
  for (const Output& o : outputs)
    if (const T* t = std::get_if<T>(&o)) out.push_back(*t);
  return out;
}

class Bypass : public LineTest {
 protected:
  Bypass() {
    build();
    m->core().unregister_nslp(kNslp);
    a->send(message());
    in = world.sent.at(0).datagram;
    in.interface = 1;
  }
  Datagram in;
};

TEST_F(Bypass, KeepsBytesButHopsAndTtl) {
  // RFC5971: 4.3.1-2, 4.3.4-4, 4.3.4-5, 4.3.4-6, 4.3.4-8, 4.3.4-9
  const auto out = only<ForwardDatagram>(raw(*m, in, world));
  ASSERT_EQ(out.size(), 1u);
  Datagram expected = in;
  --expected.ttl;
  expected.payload[5] = std::byte(std::to_integer<int>(expected.payload[5]) - 1);
  EXPECT_EQ(out[0].datagram, expected);
  EXPECT_EQ(out[0].nslp, kNslp);
}

TEST_F(Bypass, LooksAtNothingButTheHeader) {
  // RFC5971: 4.3.4-7, 4.3.4-8
  for (std::size_t i = 12; i < in.payload.size(); ++i) {
    Datagram bent = in;
    bent.payload[i] ^= std::byte{0xff};
    const auto out = only<ForwardDatagram>(raw(*m, bent, world));
    if (out.empty()) {
      // Only the MRI's destination prefix may stop it.
      EXPECT_EQ(i, 4u + 8 + 4 + 13);
      continue;
    }
    EXPECT_TRUE(std::equal(bent.payload.begin() + 6, bent.payload.end(), out[0].datagram.payload.begin() + 6));
  }
}

TEST_F(Bypass, ReachesTheNodeThatHostsIt) {
  world.run_for(seconds(1));
  EXPECT_EQ(b->core().responding_states(), 1u);
  EXPECT_EQ(querying()->state, QueryingState::kEstablished);
  EXPECT_EQ(b->received.at(0).ip_distance, 1) << "TTL was taken off";
}

TEST_F(Bypass, HopsRunOut) {
  // RFC5971: 4.3.1-4
  for (int hops : {0, 1}) {
    Datagram d = in;
    d.payload[5] = std::byte(hops);
    const Outputs out = raw(*m, d, world);
    EXPECT_TRUE(only<ForwardDatagram>(out).empty());
    const auto errors = only<SendDatagram>(out);
    ASSERT_EQ(errors.size(), 1u);
    const Message e = decode_datagram(errors[0].datagram.payload).value();
    EXPECT_TRUE(e.error->is(ErrorKind::kHopLimitExceeded));
    EXPECT_EQ(errors[0].datagram.destination, a->address);
  }
}

TEST_F(Bypass, TtlRunsOut) {
  // RFC5971: 4.3.4-5
  Datagram d = in;
  d.ttl = 1;
  EXPECT_TRUE(only<ForwardDatagram>(raw(*m, d, world)).empty());
}

TEST_F(Bypass, TooWildMri) {
  // RFC5971: 4.3.4-7
  Message q = decode_datagram(in.payload).value();
  std::get<PathCoupledMri>(*q.mri).destination_prefix = 16;
  const auto out = only<SendDatagram>(raw(*m, query_datagram(this, in, encode_datagram(q).value()), world));
  ASSERT_EQ(out.size(), 1u);
  const Message e = decode_datagram(out[0].datagram.payload).value();
  EXPECT_TRUE(e.error->is(ErrorKind::kMriTooWild));
  const auto info = object_in(e.error->info.at(0));
  EXPECT_EQ(info->object[info->offset], std::byte{16}) << "the offset points at the culprit";

  Datagram unknown = in;  // another routing method: not judged
  unknown.payload[4 + 8 + 4] = std::byte{120};
  unknown.payload[4 + 8 + 4 + 13] = std::byte{0};
  EXPECT_EQ(only<ForwardDatagram>(raw(*m, unknown, world)).size(), 1u);
}

TEST_F(Forwarding, NarrowLinks) {
  build();
  Node& c = world.add("c", base_config());
  LinkQuality narrow;
  narrow.mtu = 200;
  world.link(*m, c, narrow);
  m->on_query = [](const RecvMessage&) { return QueryAnswer{false, {}}; };
  SendMessage s = message();
  s.mri = World::flow(*a, c);
  s.data = words(50);
  a->send(s);
  world.run_for(seconds(1));
  ASSERT_EQ(errors(m), std::vector<std::string>{"8/0"});
  const Message e = sent(MessageType::kError, m).at(0);
  EXPECT_EQ(number_in(e.error->info.at(0)), 200);
  // The querier goes on with an association (4.3.4).
  ASSERT_FALSE(c.received.empty());
  EXPECT_EQ(c.received.back().data, s.data);
  EXPECT_TRUE(c.received.back().attributes.reliable);
}

TEST_F(Forwarding, EndpointWithoutTheApplication) {
  // RFC5971: 4.3.4-3
  build();
  m->core().unregister_nslp(kNslp);
  b->core().unregister_nslp(kNslp);
  a->send(message());
  world.run_for(seconds(1));
  ASSERT_EQ(errors(b), std::vector<std::string>{"7/0"});
  const Message e = sent(MessageType::kError, b).at(0);
  EXPECT_EQ(e.error->error_class, 4);
  EXPECT_EQ(e.error->session, session);
  EXPECT_EQ(e.error->mri, World::flow(*a, *b));
  EXPECT_EQ(a->notified(NetworkNotification::Type::kLastNode), 1u);
  EXPECT_EQ(a->status_of(1)->error, SendError::kNoNextNode);
}

TEST_F(Forwarding, DirectMessagesForUnknownApplications) {
  // RFC5971: 4.3.4-2
  build();
  a->send(message());
  world.run_for(seconds(1));
  m->core().unregister_nslp(kNslp);
  a->send(message(2));
  world.run_for(seconds(1));
  EXPECT_EQ(errors(m), std::vector<std::string>{"6/0"});
}

TEST_F(Forwarding, WhatIsNoGistMessageGoesOn) {
  // RFC5971: 4.3.1-1, 4.3.4-1, 5.3.1-4
  build();
  Datagram d;
  d.source = a->address;
  d.destination = b->address;
  d.source_port = 5000;
  d.destination_port = 270;
  d.ttl = 9;
  d.payload = words(4);
  auto out = only<ForwardDatagram>(raw(*m, d, world));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].datagram.payload, d.payload);
  EXPECT_EQ(out[0].datagram.ttl, 8);
  // A message that is not in Q-mode is not ours either, if it is not addressed to us.
  a->send(message());
  world.run_for(seconds(1));
  Datagram confirm = flights(MessageType::kConfirm).at(0).datagram;
  confirm.destination = b->address;
  out = only<ForwardDatagram>(raw(*m, confirm, world));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].datagram.payload, confirm.payload);
  // Addressed to us without the magic number: silence.
  d.destination = m->address;
  EXPECT_TRUE(raw(*m, d, world).empty());
}

TEST_F(Forwarding, DecliningMayChangeThePayloadOnly) {
  // RFC5971: 4.3.2-4, A.2.1-3
  build();
  // An object of unknown type with AB=10 stays where it is.
  world.tap = [&](Flight& f) {
    DecodeResult d = decode_datagram(f.datagram.payload);
    if (d->type() == MessageType::kQuery && d->forwarded.empty()) {
      d->forwarded.push_back({999, 2, words(1, 0x77)});
      f.datagram.payload = encode_datagram(*d).value();
    }
    return true;
  };
  m->on_query = [](const RecvMessage&) { return QueryAnswer{false, words(5, 0x22)}; };
  Bytes seen;
  a->send(message());
  world.run_for(milliseconds(6));
  world.run_for(seconds(1));
  ASSERT_EQ(b->received.size(), 1u);
  EXPECT_EQ(b->received[0].data, words(5, 0x22));
}

TEST(ForwardBytes, NslpDataIsReplacedOrAppended) {
  // RFC5971: 4.3.2-4, A.2.1-3
  Message q;
  q.header.hops = 9;
  q.header.context_free = q.header.reply_requested = true;
  q.mri = PathCoupledMri{};
  q.session = SessionId{};
  q.nli = Nli{};
  q.query_cookie = words(1);
  q.forwarded = {{999, 2, words(1, 0x77)}};
  const Bytes before = encode_datagram(q).value();
  const Bytes with = with_nslp_data(before, words(2, 0x11));
  Message decoded = decode_datagram(with).value();
  EXPECT_EQ(decoded.nslp_data, words(2, 0x11));
  EXPECT_EQ(decoded.forwarded, q.forwarded);
  EXPECT_TRUE(std::equal(before.begin() + 12, before.end(), with.begin() + 12)) << "all else as it was, in order";
  const Bytes replaced = with_nslp_data(with, words(3, 0x12));
  EXPECT_EQ(decode_datagram(replaced)->nslp_data, words(3, 0x12));
  EXPECT_EQ(with_nslp_data(before, Bytes(3)), before);
  EXPECT_EQ(with_hops(before, 5)[5], std::byte{5});
}

TEST_F(Forwarding, InterceptedFloodIsLimited) {
  Config config = base_config();
  config.intercept_rate = 10;
  config.intercept_burst = 3;
  build(config);
  m->core().unregister_nslp(kNslp);
  a->send(message());
  const Datagram d = world.sent.at(0).datagram;
  std::size_t passed = 0;
  for (int i = 0; i < 10; ++i) passed += only<ForwardDatagram>(raw(*m, d, world)).size();
  EXPECT_EQ(passed, 3u);
}

TEST_F(Forwarding, SilentApplicationLetsTheQueryPass) {
  build();
  Message q;
  a->send(message());
  const Datagram d = world.sent.at(0).datagram;
  const auto asked = only<RecvMessage>(raw(*m, d, world));
  ASSERT_EQ(asked.size(), 1u);
  ASSERT_TRUE(asked[0].check);
  EXPECT_EQ(only<ForwardDatagram>(m->core().on_time(world.now() + seconds(2))).size(), 1u);
  EXPECT_TRUE(m->core().answer_query(*asked[0].check, {true, {}}, world.now()).empty()) << "too late";
}

}  // namespace
}  // namespace netserv::gist::testing
