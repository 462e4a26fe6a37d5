// Messages that decode, and are refused for what they say: validation, legacy and GIST-aware NATs, where Errors go.
#include "gist/testing/fixture.h"

namespace netserv::gist::testing {
namespace {

class Refusals : public LineTest {
 protected:
  Refusals() { build(); }
  Message query() {
    Message q;
    q.header.type = 0;
    q.header.hops = 10;
    q.header.nslp = kNslp;
    q.header.context_free = q.header.reply_requested = q.header.source_is_signalling = true;
    q.mri = World::flow(*a, *b);
    q.session = session;
    q.nli = Nli{};
    q.nli->ip_ttl = 64;
    q.nli->peer_identity = words(2, 0xaa);
    q.nli->interface_address = a->address;
    q.query_cookie = words(4);
    return q;
  }
  Datagram datagram(const Message& message) {
    Datagram d;
    d.source = a->address;
    d.destination = b->address;
    d.source_port = 4444;
    d.destination_port = kUdpPort;
    d.ttl = 63;
    d.interface = 1;
    d.payload = encode_datagram(message).value();
    return d;
  }
};

TEST_F(Refusals, HopCountZero) {
  // RFC5971: 4.3.1-4
  Message q = query();
  q.header.hops = 0;
  inject(q);
  EXPECT_EQ(errors(m), std::vector<std::string>{"2/0"});
  EXPECT_TRUE(m->received.empty());
}

TEST_F(Refusals, ErrorsGoWhereTheNliSays) {
  // RFC5971: 5.1-17, 5.6-2, 5.6-3
  Message q = query();
  q.header.source_is_signalling = false;
  q.mri = World::flow(*b, *a, Direction::kUpstream);  // an upstream Query from far away
  Datagram d = datagram(q);
  d.source = IpAddress::v4(0x01020304);
  d.ttl = 60;
  world.inject(*m, d);
  const Flight f = flights(MessageType::kError, m).at(0);
  EXPECT_EQ(f.datagram.destination, a->address);
  EXPECT_EQ(f.datagram.destination_port, 4444);
  EXPECT_FALSE(f.query_mode);
  const Message e = sent(MessageType::kError, m).at(0);
  EXPECT_EQ(e.header.nslp, NslpId(0));
  EXPECT_TRUE(e.nli);
  EXPECT_TRUE(e.error->in_datagram);
  EXPECT_TRUE(e.error->in_query_mode);
  EXPECT_EQ(e.error->session, session);
  EXPECT_EQ(m->core().responding_states(), 0u);
}

TEST_F(Refusals, WithoutNliTheIpSourceServesIfSIsSet) {
  // RFC5971: 5.6-4, A.1-5
  Message q = query();
  Bytes payload = encode_datagram(q).value();
  // The NLI becomes an unknown object that must be understood.
  const std::size_t nli_at = 4 + 8 + 20 + 20;
  payload[nli_at + 1] = std::byte{99};
  Datagram d = datagram(q);
  d.payload = payload;
  world.inject(*m, d);
  EXPECT_EQ(errors(m), std::vector<std::string>{"9/1"});
  EXPECT_EQ(flights(MessageType::kError, m).at(0).datagram.destination, a->address);
  d.payload[11] &= std::byte{0x7f};  // S=0
  world.inject(*m, d);
  EXPECT_EQ(errors(m).size(), 1u) << "no address that could be trusted";
}

TEST_F(Refusals, MrisAreAboutNodes) {
  // RFC5971: 5.8.1.1-1
  const auto flow_to = [&](const IpAddress& source, const IpAddress& destination) {
    auto mri = std::get<PathCoupledMri>(World::flow(*a, *b));
    mri.source = source;
    mri.destination = destination;
    return mri;
  };
  const IpAddress group = IpAddress::v4(0xe0000105), everybody = IpAddress::v4(0xffffffff);
  std::vector<PathCoupledMri> wrong{flow_to(a->address, group), flow_to(group, b->address), flow_to(a->address, everybody),
                                    flow_to(IpAddress(), b->address), flow_to(a->address, IpAddress())};
  for (const PathCoupledMri& mri : wrong) {
    Message q = query();
    q.mri = mri;
    inject(q);
    SendMessage s = message(9);
    s.mri = mri;
    a->send(s);
    EXPECT_EQ(a->status_of(9)->error, SendError::kBadPayload);
  }
  EXPECT_EQ(errors(m), std::vector<std::string>(wrong.size(), "10/1"));
  EXPECT_TRUE(sent(MessageType::kQuery).empty());
  EXPECT_TRUE(m->received.empty());
  EXPECT_EQ(m->core().responding_states(), 0u);
}

TEST_F(Refusals, NobodyElseIsThisNode) {
  for (const IpAddress& claimed : {m->address, IpAddress::v4(0xffffffff), IpAddress::v4(0xe0000001), IpAddress()}) {
    Message q = query();
    q.header.source_is_signalling = false;
    q.nli->interface_address = claimed;
    inject(q);
  }
  EXPECT_TRUE(world.sent.empty()) << "not even an Error";
  EXPECT_TRUE(m->received.empty());
}

TEST_F(Refusals, LegacyNat) {
  // RFC5971: 5.2.2-2, 5.3.2.1-1, 7.2.1-1, 7.2.1-2, 7.2.1-3
  Message q = query();
  q.nli->interface_address = IpAddress::v4(0xc0a80001);  // private, behind the NAT that is a
  Datagram d = datagram(q);
  world.inject(*m, d);
  ASSERT_GE(errors(m).size(), 1u);
  EXPECT_EQ(errors(m).back(), "9/4");
  const Flight f = flights(MessageType::kError, m).back();
  EXPECT_EQ(f.datagram.destination, a->address) << "the IP source, not the NLI";
  EXPECT_EQ(number_in(sent(MessageType::kError, m).back().error->info.at(0)), 0) << "the MRI";
  EXPECT_EQ(m->core().responding_states(), 0u);
}

TEST(RefusalsV6, LegacyNat) {
  // RFC5971: 5.3.2.2-1
  World world;
  Node& a = world.add("a", base_config(), true);
  Node& m = world.add("m", base_config(), true);
  Node& b = world.add_plain("b", true);
  world.link(a, m);
  world.link(m, b);
  world.tap = [](Flight& f) {
    DecodeResult d = decode_datagram(f.datagram.payload);
    if (!d || d->type() != MessageType::kQuery) return true;
    d->nli->interface_address = *IpAddress::parse("2001:db8:ffff::1");  // the NAT's inside
    f.datagram.payload = encode_datagram(*d).value();
    return true;
  };
  SendMessage s;
  s.data = words(2);
  s.nslp = kNslp;
  s.session = world.session();
  s.mri = World::flow(a, b);
  a.send(s);
  world.run_for(milliseconds(100));
  EXPECT_EQ(m.count(Event::Type::kErrorSent, 9), 1u);
  EXPECT_EQ(m.core().responding_states(), 0u);
}

TEST_F(Refusals, LegacyNatBeforeTheResponder) {
  // RFC5971: 5.3.1-6, 7.2.1-5
  bend(MessageType::kResponse, [](Message& r, Datagram&) { r.nli->interface_address = IpAddress::v4(0xc0a80001); });
  a->send(message());
  world.run_for(milliseconds(100));
  EXPECT_EQ(a->core().querying_states(), 0u);
  EXPECT_TRUE(a->status_of(1));
  EXPECT_TRUE(sent(MessageType::kConfirm).empty());
}

TEST_F(Refusals, IpVersionAndIngress) {
  // RFC5971: 5.8.1.2-3, 7.4-2
  Message q = query();
  PathCoupledMri v6;
  v6.source = *IpAddress::parse("2001:db8::1");
  v6.destination = *IpAddress::parse("2001:db8::2");
  v6.source_prefix = v6.destination_prefix = 128;
  q.mri = v6;
  inject(q);
  m->forbidden_ingress.insert(Prefix(a->address, 24));
  inject(query());
  EXPECT_EQ(errors(m), (std::vector<std::string>{"12/1", "12/2"}));
  for (const Message& e : sent(MessageType::kError, m))
    EXPECT_EQ(ByteReader(object_in(e.error->info.at(0))->object).u16() & 0xfff, 0) << "the MRI is in the error";
}

TEST_F(Refusals, UpstreamQueryFromAfar) {
  // RFC5971: 5.8.1.3-1
  Message q = query();
  q.mri = World::flow(*b, *a, Direction::kUpstream);
  inject(q, 253);
  EXPECT_EQ(errors(m), std::vector<std::string>{"11/0"});
  inject(q, 254);
  EXPECT_EQ(errors(m).size(), 1u);
  EXPECT_EQ(m->received.size(), 1u);
}

TEST_F(Refusals, LooseEndUpstreamInQueryMode) {
  Message q = query();
  q.mri = LooseEndMri{Direction::kUpstream, a->address, b->address};
  inject(q);
  EXPECT_EQ(errors(m), std::vector<std::string>{"10/1"});
}

TEST_F(Refusals, MalformedMessagesAreAnswered) {
  // RFC5971: A.1-5, A.2-1, A.2.1-1, A.4.1-1
  Datagram d = datagram(query());
  d.payload[4] = std::byte{7};  // version
  world.inject(*m, d);
  d = datagram(query());
  d.payload[8 + 4 + 1] = std::byte{50};  // the MRI's type
  world.inject(*m, d);
  EXPECT_EQ(errors(m), (std::vector<std::string>{"1/0", "9/1"}));
  EXPECT_EQ(sent(MessageType::kError, m).at(0).error->header.version, 7);
}

TEST_F(Refusals, NoErrorAboutAnError) {
  // RFC5971: 5.6-1
  Message e;
  e.header.type = static_cast<std::uint8_t>(MessageType::kError);
  e.header.hops = 0;
  e.nli = query().nli;
  e.error = ErrorObject{};
  inject(e);
  e.header.hops = 3;
  Datagram d = datagram(e);
  d.destination = m->address;
  d.payload.resize(d.payload.size() - 4);
  world.inject(*m, d);
  EXPECT_TRUE(world.sent.empty());
}

TEST_F(Refusals, UnusableInterfaceAddress) {
  // RFC5971: 5.2.2-1
  Message q = query();
  q.header.source_is_signalling = false;
  q.nli->interface_address = IpAddress::v4(0xe0000001);
  Datagram d = datagram(q);
  world.inject(*m, d);
  EXPECT_TRUE(world.sent.empty());
  EXPECT_EQ(m->core().responding_states(), 0u);
}

TEST_F(Refusals, PeerErrorEndsTheHandshake) {
  m->forbidden_ingress.insert(Prefix(a->address, 24));
  a->send(message());
  world.run_for(milliseconds(100));
  ASSERT_TRUE(a->status_of(1));
  EXPECT_EQ(a->status_of(1)->error, SendError::kRefused);
  EXPECT_EQ(a->status_of(1)->gist_code, 12);
  EXPECT_EQ(a->status_of(1)->gist_subcode, 2);
}

// A GIST-aware NAT between a and m, played by the tap: outside, a's flow has another source.
class NatTest : public LineTest {
 protected:
  void play(const Config& config, std::vector<std::uint16_t> translated = {0, 2, 4}) {
    build(config);
    outside = std::get<PathCoupledMri>(World::flow(*a, *b));
    outside.source = IpAddress::v4(0x0a000909);
    world.tap = [this, translated](Flight& f) {
      DecodeResult d = decode_datagram(f.datagram.payload);
      if (!d || d->type() != MessageType::kQuery) return true;
      NatTraversal nat;
      nat.original_mri = *d->mri;
      nat.translated = translated;
      nat.replaced = {Bytes(5, std::byte{1})};
      d->nat_traversal = nat;
      d->mri = outside;
      // The binding for signalling happens to be the node's own address, so that replies arrive.
      f.datagram.payload = encode_datagram(*d).value();
      return true;
    };
  }
  PathCoupledMri outside;
};

TEST_F(NatTest, StateGoesByEachSidesMri) {
  // RFC5971: 7.2.3-1, 7.2.3-3, 7.2.3-4, 7.2.3-5
  play(base_config());
  a->send(message());
  world.run_for(seconds(1));
  const Message response = sent(MessageType::kResponse).at(0);
  ASSERT_TRUE(response.nat_traversal);
  EXPECT_EQ(*response.mri, inverted(Mri(outside))) << "the responder's own form";
  ASSERT_TRUE(querying()) << "kept under the MRI that a sent";
  EXPECT_EQ(querying()->state, QueryingState::kEstablished);
  EXPECT_EQ(m->core().responding_states(), 1u);
  const Responding* r = m->core().find_responding({inverted(Mri(outside)), session, kNslp});
  ASSERT_TRUE(r);
  EXPECT_EQ(r->state, RespondingState::kEstablished) << "the Confirm has a's MRI and is understood";
  a->send(message(2));
  world.run_for(seconds(1));
  ASSERT_EQ(m->received.size(), 2u);
  EXPECT_TRUE(m->received[1].attributes.state_validated);
  SendMessage back = answer(3);
  back.mri = inverted(Mri(outside));
  m->send(back);
  world.run_for(seconds(1));
  EXPECT_EQ(*sent(MessageType::kData, m).at(0).mri, World::flow(*a, *b, Direction::kUpstream));
  ASSERT_EQ(a->received.size(), 1u);
}

TEST_F(NatTest, DelayedStateCarriesTheTranslationInTheCookie) {
  // RFC5971: 7.2.3-5
  Config config = base_config();
  config.responder_policy = ResponderPolicy::kDelayed;
  play(config);
  a->send(message());
  world.run_for(seconds(1));
  const Responding* r = m->core().find_responding({inverted(Mri(outside)), session, kNslp});
  ASSERT_TRUE(r);
  EXPECT_EQ(*r->wire_mri, World::flow(*a, *b, Direction::kUpstream));
  a->send(message(2));
  world.run_for(seconds(1));
  EXPECT_TRUE(m->received.back().attributes.state_validated);
}

TEST_F(NatTest, UntranslatedObjectsAreRefused) {
  // RFC5971: 7.2.3-1, 7.2.3-2
  play(base_config(), {0});
  a->send(message());
  world.run_for(milliseconds(100));
  ASSERT_EQ(errors(m), std::vector<std::string>{"9/4"});
  const Message e = sent(MessageType::kError, m).at(0);
  EXPECT_TRUE(e.nat_traversal) << "echoed, as the first object";
  EXPECT_EQ(number_in(e.error->info.at(0)), 2);
  EXPECT_EQ(a->core().querying_states(), 0u) << "found by the original MRI";
}

}  // namespace
}  // namespace netserv::gist::testing
