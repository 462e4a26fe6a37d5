// gist::Nat on arbitrary datagrams. The first bytes say which NAT, where the datagram comes from and goes to, its TTL and
// port; the rest is its payload. What is translated must be what came but for addresses, must be known again on its way
// back and only there, and never be translated twice.
#include <cstdint>
#include <utility>

#include "gist/nat.h"
#include "gist/testing/world.h"

using namespace netserv;
using namespace netserv::gist;
using netserv::gist::testing::SeededCrypto;

namespace {

constexpr std::size_t kMaxPayload = 4 + kHeaderSize + 4 * std::size_t{kMaxMessageWords};
// Of a Query: the NAT-Traversal object with an MRI, three types and this NAT's sealed part.
constexpr std::size_t kMaxGrowth = 128;

IpAddress address(const char* text) { return IpAddress::parse(text).value(); }

// What is inside lies behind one interface, all else behind another.
class TwoInterfaces final : public Network {
 public:
  static constexpr std::uint32_t kIn = 3, kOut = 4;
  TwoInterfaces(Prefix inside, IpAddress outside) : inside_(inside), outside_(outside) {}
  bool is_local(const IpAddress& a) const override { return a == outside_; }
  std::optional<Egress> route(const IpAddress& to, const IpAddress&) const override {
    return Egress{inside_.contains(to) ? kIn : kOut, outside_, 1500, {}};
  }
  bool ingress_allowed(const Prefix&, std::uint32_t) const override { return true; }
  std::optional<std::uint16_t> path_mtu(const IpAddress&) const override { return std::nullopt; }

 private:
  Prefix inside_;
  IpAddress outside_;
};

struct Side {
  IpAddress outside, host, router, far, peer;
  Prefix inside;
  TwoInterfaces network;
  mutable Nat nat;
  Side(const char* o, const char* i, const char* h, const char* r, const char* f, const char* p, Crypto& crypto)
      : outside(address(o)), host(address(h)), router(address(r)), far(address(f)), peer(address(p)),
        inside(Prefix::parse(i).value()), network(inside, outside),
        nat({outside, {inside}, host, {{2701, router, 270}}}, Config{}, crypto, network) {}
  std::optional<Nat::Translated> translate(const Datagram& d) const { return nat.translate(d, {}); }
  bool is_inside(const IpAddress& a) const { return inside.contains(a); }
};

Message read(const Datagram& d) {
  const DecodeResult m = decode_datagram(d.payload);
  NETSERV_CHECK(m);
  return *m;
}

// The least that answers a Query.
Message response(const Message& query, const IpAddress& from) {
  Message m;
  m.header.type = static_cast<std::uint8_t>(MessageType::kResponse);
  m.header.hops = 10;
  m.header.nslp = query.header.nslp;
  m.header.source_is_signalling = true;
  m.nat_traversal = query.nat_traversal;
  m.mri = inverted(*query.mri);
  m.session = query.session;
  m.nli = Nli{0, Milliseconds(30000), Bytes(4), from};
  m.query_cookie = query.query_cookie.value_or(Bytes(8));
  return m;
}

void sent_away(const Side& world, const Datagram& came, const Message& was, const Datagram& out, const Message& is,
               std::uint8_t bent) {
  NETSERV_CHECK(came.interface == TwoInterfaces::kIn && world.is_inside(came.source));
  NETSERV_CHECK(out.source == world.outside && !world.is_inside(out.destination));
  NETSERV_CHECK(!world.is_inside(source_of(*is.mri)) && !world.is_inside(destination_of(*is.mri)));
  NETSERV_CHECK(is.nli->interface_address == world.outside);

  Datagram answer;
  answer.source = world.peer;
  answer.destination = out.source;
  answer.destination_port = out.source_port;
  answer.ttl = 60;
  Message m = response(is, world.peer);
  const auto encoded = encode_datagram(m);
  if (!encoded) return;  // the Query's objects are as long as they can be
  answer.payload = *encoded;
  const auto back = world.translate(answer);
  NETSERV_CHECK(back && back->way == Nat::Way::kReply && back->datagram.payload == answer.payload);
  NETSERV_CHECK(back->datagram.destination == was.nli->interface_address && back->datagram.destination_port == came.source_port);

  SeededCrypto others(2);
  Nat another({world.outside, {world.inside}, world.host, {}}, Config{}, others, world.network);
  NETSERV_CHECK(!another.translate(answer, {}));
  Bytes& sealed = m.nat_traversal->replaced.back();
  sealed[bent % sealed.size()] ^= std::byte{1};
  answer.payload = encode_datagram(m).value();
  NETSERV_CHECK(!world.translate(answer));
}

void let_in(const Side& world, const Datagram& came, const Datagram& out, const Message& is) {
  NETSERV_CHECK(out.destination == world.host && out.source == came.source && out.source_port == came.source_port);
  NETSERV_CHECK(end_in_direction(*is.mri) == world.host);
  if (world.is_inside(came.source)) return;  // the answer does not cross the NAT
  Datagram answer;
  answer.source = world.host;
  answer.interface = TwoInterfaces::kIn;
  answer.destination = came.source;
  answer.ttl = 60;
  const auto encoded = encode_datagram(response(is, world.host));
  if (!encoded || came.source == world.outside) return;
  answer.payload = *encoded;
  const auto back = world.translate(answer);
  NETSERV_CHECK(back && back->way == Nat::Way::kInPlace);
  NETSERV_CHECK(read(back->datagram).nli->interface_address == world.outside);
}

void query(const Side& world, const Datagram& came, const Datagram& out, std::uint8_t bent) {
  const Message was = read(came), is = read(out);
  NETSERV_CHECK(out.payload.size() <= came.payload.size() + kMaxGrowth);
  NETSERV_CHECK(out.ttl == came.ttl - 1 && is.header.hops == was.header.hops - 1);
  NETSERV_CHECK(out.destination == end_in_direction(*is.mri));
  Datagram again = out;
  again.interface = world.network.route(out.source, {})->interface;
  NETSERV_CHECK(!world.translate(again));
  const bool entering = end_in_direction(*was.mri) == world.outside;
  entering ? let_in(world, came, out, is) : sent_away(world, came, was, out, is, bent);
  // Undone by what the NAT-Traversal object says, it is what came.
  NETSERV_CHECK(is.nat_traversal->original_mri == (was.nat_traversal ? was.nat_traversal->original_mri : *was.mri));
  Message undone = is;
  undone.header = was.header;
  undone.nli->interface_address = was.nli->interface_address;
  undone.mri = was.mri;
  undone.nat_traversal = was.nat_traversal;
  for (ForwardedObject& o : undone.forwarded) o.after = 0;  // counts the objects before it, which have become more
  Message before = was;
  for (ForwardedObject& o : before.forwarded) o.after = 0;
  NETSERV_CHECK(undone == before);
}

void in_place(const Side& world, const Datagram& came, const Datagram& out) {
  Message was = read(came);
  const Message is = read(out);
  NETSERV_CHECK(out.payload.size() <= came.payload.size() && out.ttl == came.ttl);
  NETSERV_CHECK(out.source == came.source && out.destination == came.destination);
  NETSERV_CHECK(came.interface == TwoInterfaces::kIn && world.is_inside(came.source) && !world.is_inside(out.destination));
  NETSERV_CHECK(std::exchange(was.nli->interface_address, world.outside) != world.outside);
  NETSERV_CHECK(was.stack_configuration.has_value() == is.stack_configuration.has_value());
  was.stack_configuration = is.stack_configuration;
  was.header.length = is.header.length;
  NETSERV_CHECK(was == is);
  if (!is.stack_configuration) return;
  for (const ProtocolOptions& o : is.stack_configuration->options)
    NETSERV_CHECK(o.do_not_use || o.data == forwards_tcp_option(2701).data);
}

void reply(const Side& world, const Datagram& came, const Datagram& out) {
  NETSERV_CHECK(came.destination == world.outside && world.is_inside(out.destination));
  NETSERV_CHECK(out.payload == came.payload && out.source == came.source && out.ttl == came.ttl - 1);
}

// 0: as the message itself says; others: one of these.
IpAddress chosen(const Side& world, std::uint8_t by, const IpAddress& said) {
  const IpAddress all[] = {said, world.outside, world.host, world.router, world.far, world.peer};
  return all[by % std::size(all)];
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  SeededCrypto crypto(1);
  const Side v4("198.51.100.1", "192.168.0.0/16", "192.168.1.5", "192.168.0.1", "203.0.113.7", "198.51.100.99", crypto);
  const Side v6("2001:db8::1", "fd00:1::/32", "fd00:1::5", "fd00:1::1", "2001:db8:7::7", "2001:db8::99", crypto);
  ByteReader in(std::as_bytes(std::span(data, size)));
  const Side& world = in.u8() % 2 ? v6 : v4;
  const std::uint8_t from = in.u8(), to = in.u8(), bent = in.u8();
  Datagram d;
  d.ttl = in.u8();
  d.source_port = in.u8();
  d.destination_port = kUdpPort;
  const ByteSpan payload = in.rest();
  d.payload.assign(payload.begin(), payload.end());
  const DecodeResult m = decode_datagram(d.payload);
  const bool by_flow = m && m->mri && !m->header.source_is_signalling;
  d.source = chosen(world, from & 0x7f, by_flow ? source_of(*m->mri) : m && m->nli ? m->nli->interface_address : IpAddress{});
  d.destination = chosen(world, to, m && m->mri ? end_in_direction(*m->mri) : IpAddress{});

  d.interface = from & 0x80 ? TwoInterfaces::kOut : world.network.route(d.source, {})->interface;

  const auto t = world.translate(d);
  if (!t) return 0;
  NETSERV_CHECK(t->datagram.payload.size() <= kMaxPayload);
  switch (t->way) {
    case Nat::Way::kQuery: query(world, d, t->datagram, bent); break;
    case Nat::Way::kInPlace: in_place(world, d, t->datagram); break;
    case Nat::Way::kReply: reply(world, d, t->datagram); break;
    case Nat::Way::kDrop: NETSERV_CHECK(false); break;  // this is far from too many
  }
  return 0;
}
