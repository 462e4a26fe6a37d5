#include "gist/nat.h"

#include <gtest/gtest.h>

#include "gist/testing/world.h"

namespace netserv::gist::testing {
namespace {

const IpAddress kOutside = IpAddress::v4(0xc6336401), kHost = IpAddress::v4(0xc0a80105), kRouter = IpAddress::v4(0xc0a80001);
const IpAddress kFar = IpAddress::v4(0xcb007107), kPeer = IpAddress::v4(0xc6336463);

constexpr std::uint32_t kInsideInterface = 3, kOutsideInterface = 4;

// What is inside lies behind one interface, all else behind another.
class TwoSides final : public Network {
 public:
  bool is_local(const IpAddress& address) const override { return address == kOutside; }
  std::optional<Egress> route(const IpAddress& destination, const IpAddress&) const override {
    const bool inside = Prefix::parse("192.168.0.0/16")->contains(destination);
    return Egress{inside ? kInsideInterface : kOutsideInterface, kOutside, 1500, {}};
  }
  bool ingress_allowed(const Prefix&, std::uint32_t) const override { return true; }
  std::optional<std::uint16_t> path_mtu(const IpAddress&) const override { return std::nullopt; }
};

class CountingCrypto final : public Crypto {
 public:
  void fill(std::span<std::byte> out) override { random_.fill(out); }
  Digest hmac(ByteSpan key, ByteSpan data) override { return ++macs, random_.hmac(key, data); }
  unsigned macs = 0;

 private:
  SeededCrypto random_{1};
};

class TranslationTest : public ::testing::Test {
 protected:
  TranslationTest() : nat({kOutside, {*Prefix::parse("192.168.0.0/16")}, kHost, {{2701, kRouter, 270}}}, config(), crypto, network) {}

  static Datagram wrap(const Message& m, IpAddress source, IpAddress destination) {
    Datagram d;
    d.source = source;
    d.destination = destination;
    d.source_port = d.destination_port = kUdpPort;
    d.ttl = 60;
    d.interface = TwoSides().route(source, {})->interface;
    d.payload = encode_datagram(m).value();
    return d;
  }
  static Message query(IpAddress from, IpAddress source, IpAddress destination) {
    Message m;
    m.header.type = static_cast<std::uint8_t>(MessageType::kQuery);
    m.header.hops = 10;
    m.header.nslp = kNslp;
    m.header.context_free = m.header.reply_requested = m.header.source_is_signalling = true;
    PathCoupledMri mri;
    mri.source = source;
    mri.destination = destination;
    m.mri = mri;
    m.session.emplace().bytes.fill(std::byte{7});
    m.nli = Nli{60, Milliseconds(30000), Bytes(4, std::byte{9}), from};
    m.query_cookie = Bytes(8, std::byte{1});
    return m;
  }
  // The answer to a Query as it arrived.
  static Message response(const Message& q, IpAddress from) {
    Message m;
    m.header.type = static_cast<std::uint8_t>(MessageType::kResponse);
    m.header.hops = 10;
    m.header.nslp = q.header.nslp;
    m.header.source_is_signalling = m.header.reply_requested = true;
    m.nat_traversal = q.nat_traversal;
    m.mri = inverted(*q.mri);
    m.session = q.session;
    m.nli = Nli{60, Milliseconds(30000), Bytes(4, std::byte{5}), from};
    m.query_cookie = q.query_cookie;
    m.responder_cookie = Bytes(8, std::byte{2});
    m.stack_proposal = StackProposal{{{static_cast<std::uint8_t>(MaProtocol::kForwardsTcp)}}};
    m.stack_configuration = StackConfiguration{Milliseconds(30000), {forwards_tcp_option(270)}};
    return m;
  }
  static Message read(const Datagram& d) { return decode_datagram(d.payload).value(); }

  static Config config() {
    Config c;
    c.intercept_rate = 10;
    c.intercept_burst = 50;
    return c;
  }
  auto translate(const Datagram& d) { return nat.translate(d, now); }
  // What m has of a NAT on its way, over and over, each time with the tag bent.
  static void stuff(Message& m) {
    const Bytes sealed = m.nat_traversal->replaced.at(0);
    while (m.nat_traversal->replaced.size() < 255) m.nat_traversal->replaced.push_back(sealed);
    for (Bytes& each : m.nat_traversal->replaced) each.back() ^= std::byte{1};
  }

  CountingCrypto crypto;
  TwoSides network;
  Nat nat;
  TimePoint now{};
};

TEST_F(TranslationTest, AQueryThatLeavesSpeaksOfTheFlowAsItIsOutside) {
  const Message sent = query(kHost, kHost, kFar);
  const auto out = translate(wrap(sent, kHost, kFar));
  ASSERT_TRUE(out);
  EXPECT_EQ(out->way, Nat::Way::kQuery);
  EXPECT_EQ(out->datagram.source, kOutside);
  EXPECT_EQ(out->datagram.destination, kFar);
  EXPECT_EQ(out->datagram.ttl, 59);
  const Message m = read(out->datagram);
  EXPECT_EQ(m.header.hops, 9);
  EXPECT_EQ(source_of(*m.mri), kOutside);
  EXPECT_EQ(destination_of(*m.mri), kFar);
  EXPECT_EQ(m.nli->interface_address, kOutside);
  EXPECT_EQ(m.nli->peer_identity, sent.nli->peer_identity);
  ASSERT_TRUE(m.nat_traversal);
  EXPECT_EQ(m.nat_traversal->original_mri, *sent.mri);
  EXPECT_TRUE(m.nat_traversal->lists(ObjectType::kMri));
  EXPECT_TRUE(m.nat_traversal->lists(ObjectType::kNli));
  EXPECT_EQ(m.query_cookie, sent.query_cookie);
}

TEST_F(TranslationTest, ItsAnswerFindsTheQuerierAndOnlyThat) {
  const auto out = translate(wrap(query(kHost, kHost, kFar), kHost, kFar));
  Message answer = response(read(out->datagram), kPeer);
  const Datagram came = wrap(answer, kPeer, kOutside);
  const auto back = translate(came);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->way, Nat::Way::kReply);
  EXPECT_EQ(back->datagram.source, kPeer);
  EXPECT_EQ(back->datagram.destination, kHost);
  EXPECT_EQ(back->datagram.payload, came.payload) << "the MRI stays, the peer's address can be reached";

  answer.nat_traversal->replaced.at(0).at(15) ^= std::byte{1};
  EXPECT_FALSE(translate(wrap(answer, kPeer, kOutside))) << "another host inside";
  answer = response(read(out->datagram), kPeer);
  answer.session->bytes[0] ^= std::byte{1};
  EXPECT_FALSE(translate(wrap(answer, kPeer, kOutside))) << "another session";
}

TEST_F(TranslationTest, AnErrorFindsTheQuerierToo) {
  const auto out = translate(wrap(query(kHost, kHost, kFar), kHost, kFar));
  const Message q = read(out->datagram);
  Message m;
  m.header.type = static_cast<std::uint8_t>(MessageType::kError);
  m.header.hops = 10;
  m.header.source_is_signalling = true;
  m.nat_traversal = q.nat_traversal;
  m.nli = Nli{0, Milliseconds(30000), Bytes(4, std::byte{5}), kPeer};
  DecodeError error;
  error.kind = ErrorKind::kEndpointFound;
  error.header = q.header;
  error.session = q.session;
  error.mri = q.mri;
  m.error = error.to_object();
  const auto back = translate(wrap(m, kPeer, kOutside));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->datagram.destination, kHost);
}

TEST_F(TranslationTest, AQueryThatEntersGoesToTheExposedHost) {
  const auto out = translate(wrap(query(kPeer, kFar, kOutside), kPeer, kOutside));
  ASSERT_TRUE(out);
  EXPECT_EQ(out->way, Nat::Way::kQuery);
  EXPECT_EQ(out->datagram.source, kPeer) << "S=1: the querier's address, as its NLI says";
  EXPECT_EQ(out->datagram.destination, kHost);
  const Message m = read(out->datagram);
  EXPECT_EQ(destination_of(*m.mri), kHost);
  EXPECT_EQ(m.nli->interface_address, kPeer);

  const auto back = translate(wrap(response(m, kRouter), kRouter, kPeer));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->way, Nat::Way::kInPlace);
  const Message answer = read(back->datagram);
  EXPECT_EQ(answer.nli->interface_address, kOutside);
  EXPECT_EQ(forwards_tcp_port(*answer.stack_configuration, 1), 2701);
  EXPECT_EQ(answer.mri, inverted(*m.mri)) << "unchanged: the querier goes by the original one";
}

TEST_F(TranslationTest, ANodeWithoutADoorCanNotBeConnectedTo) {
  const auto out = translate(wrap(query(kPeer, kFar, kOutside), kPeer, kOutside));
  const auto back = translate(wrap(response(read(out->datagram), kHost), kHost, kPeer));
  ASSERT_TRUE(back);
  EXPECT_TRUE(read(back->datagram).stack_configuration->options.at(0).do_not_use);
}

TEST_F(TranslationTest, WhatItCanNotTranslateStaysAsItIs) {
  Message ports = query(kHost, kHost, kFar);
  std::get<PathCoupledMri>(*ports.mri).protocol = 17;
  std::get<PathCoupledMri>(*ports.mri).source_port = 5060;
  EXPECT_FALSE(translate(wrap(ports, kHost, kFar))) << "the NAT's choice";
  EXPECT_FALSE(translate(wrap(query(kHost, kHost, kRouter), kHost, kRouter))) << "it stays inside";
  EXPECT_FALSE(translate(wrap(query(kPeer, kPeer, kFar), kPeer, kFar))) << "it stays outside";
  Message plain = response(query(kHost, kHost, kFar), kPeer);
  EXPECT_FALSE(translate(wrap(plain, kPeer, kOutside))) << "no NAT-Traversal object";
  Message last = query(kHost, kHost, kFar);
  last.header.hops = 1;
  EXPECT_FALSE(translate(wrap(last, kHost, kFar)));
}

TEST_F(TranslationTest, NobodyOutsideIsGivenAWayInside) {
  const Message pretended = query(kHost, kFar, kPeer);
  EXPECT_FALSE(translate(wrap(pretended, kFar, kPeer))) << "from outside, naming a querier inside";
  EXPECT_FALSE(translate(wrap(pretended, kHost, kPeer))) << "no end of the flow is inside";
  const Message upstream = [] {
    Message m = query(kHost, kFar, kHost);
    std::get<PathCoupledMri>(*m.mri).direction = Direction::kUpstream;
    return m;
  }();
  EXPECT_TRUE(translate(wrap(upstream, kHost, kFar)));
  EXPECT_FALSE(translate(wrap(upstream, kPeer, kFar)));
}

TEST_F(TranslationTest, ASourceInsideComesFromInside) {
  const Message sent = query(kHost, kHost, kFar), asked = query(kPeer, kFar, kOutside);
  const Message answer = response(read(translate(wrap(asked, kPeer, kOutside))->datagram), kRouter);
  for (Datagram d : {wrap(sent, kHost, kFar), wrap(answer, kRouter, kPeer)}) {
    EXPECT_TRUE(translate(d));
    d.interface = kOutsideInterface;
    EXPECT_FALSE(translate(d));
  }
}

TEST_F(TranslationTest, ItSendsInNobodysNameButTheSenders) {
  const Message sent = query(kPeer, kFar, kOutside);
  EXPECT_FALSE(translate(wrap(sent, kFar, kOutside))) << "the NLI names a third party, or another NAT left it alone";
  EXPECT_FALSE(translate(wrap(sent, kPeer, kFar))) << "not where its flow goes";
  Message by_flow = sent;
  by_flow.header.source_is_signalling = false;
  EXPECT_FALSE(translate(wrap(by_flow, kPeer, kOutside)));
  const auto out = translate(wrap(by_flow, kFar, kOutside));
  ASSERT_TRUE(out);
  EXPECT_EQ(out->datagram.source, kFar);
  const Message answer = response(read(translate(wrap(sent, kPeer, kOutside))->datagram), kRouter);
  EXPECT_FALSE(translate(wrap(answer, kFar, kPeer))) << "an answer from outside, as if from inside";
}

TEST_F(TranslationTest, TheWayBackIsOpenForATime) {
  const Message left = read(translate(wrap(query(kHost, kHost, kFar), kHost, kFar))->datagram);
  const Datagram answer = wrap(response(left, kPeer), kPeer, kOutside);
  now += config().cookie_secret_lifetime;
  EXPECT_TRUE(translate(answer)) << "the secret before";
  const Message later = read(translate(wrap(query(kHost, kHost, kFar), kHost, kFar))->datagram);
  EXPECT_NE(later.nat_traversal, left.nat_traversal);
  now += config().cookie_secret_lifetime;
  EXPECT_FALSE(translate(answer));
  EXPECT_TRUE(translate(wrap(response(later, kPeer), kPeer, kOutside)));
}

TEST_F(TranslationTest, OneMacADatagramWhateverIsInIt) {
  Message answer = response(read(translate(wrap(query(kHost, kHost, kFar), kHost, kFar))->datagram), kPeer);
  stuff(answer);
  crypto.macs = 0;
  EXPECT_FALSE(translate(wrap(answer, kPeer, kOutside)));
  EXPECT_EQ(crypto.macs, 1u);
  for (Bytes& each : answer.nat_traversal->replaced) each.front() ^= std::byte{1};  // no secret of this NAT
  EXPECT_FALSE(translate(wrap(answer, kPeer, kOutside)));
  EXPECT_EQ(crypto.macs, 1u);
}

TEST_F(TranslationTest, MoreThanTheRateIsDroppedUnread) {
  Message answer = response(read(translate(wrap(query(kHost, kHost, kFar), kHost, kFar))->datagram), kPeer);
  stuff(answer);
  crypto.macs = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto out = translate(wrap(answer, kPeer, kOutside));
    EXPECT_EQ(out.has_value(), i >= 49) << i;
    if (out) {
      EXPECT_EQ(out->way, Nat::Way::kDrop);
    }
  }
  EXPECT_EQ(crypto.macs, 49u);
  Datagram other = wrap(answer, kPeer, kOutside);
  other.payload[0] ^= std::byte{1};
  EXPECT_FALSE(translate(other)) << "no GIST";
  now += std::chrono::seconds(1);
  unsigned looked_at = 0;
  for (int i = 0; i < 100; ++i) looked_at += !translate(wrap(answer, kPeer, kOutside));
  EXPECT_EQ(looked_at, 10u);
}

// What is for this node itself, and carries nothing of a NAT, is not a NAT's work.
TEST_F(TranslationTest, OthersMessagesDoNotUseUpItsRate) {
  Message plain = response(read(translate(wrap(query(kHost, kHost, kFar), kHost, kFar))->datagram), kPeer);
  plain.nat_traversal.reset();
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(translate(wrap(plain, kPeer, kOutside))) << i;
  const auto out = translate(wrap(query(kHost, kHost, kFar), kHost, kFar));
  ASSERT_TRUE(out);
  EXPECT_EQ(out->way, Nat::Way::kQuery);
}

TEST_F(TranslationTest, ItSpeaksForOneAddress) {
  Message leaving = query(kHost, kHost, kFar), entering = query(kPeer, kFar, kOutside);
  std::get<PathCoupledMri>(*leaving.mri).source_prefix = 16;
  std::get<PathCoupledMri>(*entering.mri).destination_prefix = 0;
  EXPECT_FALSE(translate(wrap(leaving, kHost, kFar)));
  EXPECT_FALSE(translate(wrap(entering, kPeer, kOutside)));
}

TEST_F(TranslationTest, TwoNatsInARow) {
  const IpAddress between = IpAddress::v4(0x64400005), core = IpAddress::v4(0xcb007101);
  Nat home({between, {*Prefix::parse("192.168.0.0/16")}, {}, {}}, Config{}, crypto, network);
  Nat carrier({core, {*Prefix::parse("100.64.0.0/10")}, {}, {}}, Config{}, crypto, network);
  const Message sent = query(kHost, kHost, kFar);
  auto first = home.translate(wrap(sent, kHost, kFar), now);
  first->datagram.interface = kOutsideInterface;
  const auto second = carrier.translate(first->datagram, now);
  ASSERT_TRUE(second);
  const Message m = read(second->datagram);
  EXPECT_EQ(m.nat_traversal->original_mri, *sent.mri);
  EXPECT_EQ(source_of(*m.mri), core);
  EXPECT_EQ(m.nat_traversal->replaced.size(), 2u);
  const auto back = carrier.translate(wrap(response(m, kPeer), kPeer, core), now);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->datagram.destination, between);
  const auto home_again = home.translate(back->datagram, now);
  ASSERT_TRUE(home_again);
  EXPECT_EQ(home_again->datagram.destination, kHost);
}

}  // namespace
}  // namespace netserv::gist::testing
