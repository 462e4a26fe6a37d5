#include "gist/nat.h"

#include <algorithm>

#include "gist/forward.h"
#include "wire/gist/object_walk.h"

namespace netserv::gist {
namespace {

// A sealed part: generation of the secret, size of the address, a zero, port, address, tag.
constexpr std::size_t kBeforeAddress = 12, kTagSize = 16;
// All objects with addresses that a Query may have (7.2.3).
constexpr std::array kTranslated{ObjectType::kMri, ObjectType::kNli, ObjectType::kStackConfiguration};

// The objects after the common header, those named taken from `changed`; the others byte for byte as they were.
// `first` goes before all if the message had none of its type.
std::optional<Bytes> with_objects(ByteSpan payload, const Message& changed, std::initializer_list<ObjectType> types,
                                  std::optional<ObjectType> first) {
  ByteWriter out;
  out.bytes(payload.first(4 + kHeaderSize));
  const auto is_changed = [&](std::uint16_t type) {
    return std::any_of(types.begin(), types.end(), [type](ObjectType t) { return static_cast<std::uint16_t>(t) == type; });
  };
  ByteReader in(payload.subspan(4 + kHeaderSize));
  if (first && !encode_object(out, *first, changed)) return std::nullopt;
  while (in.remaining() > 0) {
    RawObject object;
    if (!next_object(in, object)) return std::nullopt;
    if (!is_changed(object.type)) {
      out.bytes(object.whole);
    } else if (!encode_object(out, static_cast<ObjectType>(object.type), changed)) {
      return std::nullopt;
    }
  }
  const std::size_t words = (out.size() - 4 - kHeaderSize) / 4;
  if (words > kMaxMessageWords) return std::nullopt;
  out.patch_u16(6, static_cast<std::uint16_t>(words));
  return out.take();
}

// Ports of a flow that leaves are the NAT's to choose, so that only flows without them are known outside.
bool has_source_port(const Mri& mri) {
  const auto* path = std::get_if<PathCoupledMri>(&mri);
  return path && path->source_port;
}

// Replaces an end of the flow. Not a prefix: the NAT speaks for one address only.
bool replace(Mri& mri, bool source, const IpAddress& by) {
  if (const auto* path = std::get_if<PathCoupledMri>(&mri))
    if ((source ? path->source_prefix : path->destination_prefix) != path->source.bits()) return false;
  return std::visit([&](auto& m) {
    IpAddress& end = source ? m.source : m.destination;
    if (end.is_v4() != by.is_v4()) return false;
    end = by;
    return true;
  }, mri);
}

// 5.3.2: whether the IP header says what the message does. If not, another NAT let it through as it was, or its sender
// pretends; translated it would look sound.
bool is_as_addressed(const Datagram& d, const Message& m) {
  const IpAddress& source = m.header.source_is_signalling ? m.nli->interface_address : source_of(*m.mri);
  return d.source == source && d.destination == end_in_direction(*m.mri);
}

}  // namespace

bool NatBindings::is_inside(const IpAddress& address) const {
  return std::any_of(inside.begin(), inside.end(), [&](const Prefix& p) { return p.contains(address); });
}

Nat::Nat(NatBindings bindings, const Config& config, Crypto& crypto, const Network& network)
    : bindings_(std::move(bindings)),
      crypto_(crypto),
      network_(network),
      secret_(crypto, config.cookie_secret_lifetime),
      bucket_(config.intercept_rate, config.intercept_burst) {}

bool Nat::is_from_inside(const Datagram& d) const {
  if (!bindings_.is_inside(d.source)) return false;
  const std::optional<Egress> back = network_.route(d.source, {});
  return back && back->interface == d.interface;
}

std::optional<Nat::Translated> Nat::translate(const Datagram& datagram, TimePoint now) {
  if (!has_magic(datagram.payload)) return std::nullopt;
  const DecodeResult message = decode_datagram(datagram.payload);
  if (!message || (!message->header.context_free && !message->nat_traversal)) return std::nullopt;
  if (!bucket_.take(now)) return Translated{Way::kDrop, {}};  // 5.3.2.3, and before anything that costs much
  if (message->header.context_free) return translate_query(datagram, *message, now);
  if (datagram.destination == bindings_.outside) return reply_to_inside(datagram, *message, now);
  return reply_to_outside(datagram, *message);
}

// 7.2.3, the operations for C=1. A Query has no port to be opened: its sender is the one that connects.
std::optional<Nat::Translated> Nat::translate_query(const Datagram& d, const Message& m, TimePoint now) {
  if (m.header.hops <= 1 || d.ttl <= 1 || !m.nli || !is_as_addressed(d, m)) return std::nullopt;
  Message changed = m;
  const bool entering = end_in_direction(*m.mri) == bindings_.outside;
  if (entering) {
    const bool downstream = direction_of(*m.mri) == Direction::kDownstream;
    if (!bindings_.exposed || !replace(*changed.mri, !downstream, *bindings_.exposed)) return std::nullopt;
  } else {
    const bool from_source = bindings_.is_inside(source_of(*m.mri));
    if (bindings_.is_inside(d.destination)) return std::nullopt;
    if (!from_source && !bindings_.is_inside(destination_of(*m.mri))) return std::nullopt;
    // From outside it would be given the way to whatever node inside it names.
    if (!is_from_inside(d) || !bindings_.is_inside(m.nli->interface_address)) return std::nullopt;
    if (has_source_port(*m.mri) || !replace(*changed.mri, from_source, bindings_.outside)) return std::nullopt;
    changed.nli->interface_address = bindings_.outside;
  }
  NatTraversal nat = m.nat_traversal.value_or(NatTraversal{*m.mri, {}, {}});
  // Of a NAT before this one, only what both translated.
  std::erase_if(nat.translated, [](std::uint16_t t) {
    return std::none_of(kTranslated.begin(), kTranslated.end(), [t](ObjectType k) { return (t & 0xfff) == static_cast<std::uint16_t>(k); });
  });
  if (!m.nat_traversal)
    for (ObjectType type : kTranslated)
      if (has_object(m, type)) nat.translated.push_back(static_cast<std::uint16_t>(type));
  if (nat.replaced.size() >= 255) return std::nullopt;
  changed.nat_traversal = nat;
  nat.replaced.push_back(entering ? Bytes{} : seal({m.nli->interface_address, d.source_port}, bound_to(changed), now));
  changed.nat_traversal = std::move(nat);

  auto payload = with_objects(d.payload, changed, {ObjectType::kNatTraversal, ObjectType::kMri, ObjectType::kNli},
                              m.nat_traversal ? std::nullopt : std::optional(ObjectType::kNatTraversal));
  if (!payload) return std::nullopt;
  Translated out{Way::kQuery, d};
  out.datagram.payload = with_hops(*payload, static_cast<std::uint8_t>(m.header.hops - 1));
  out.datagram.ip_header.clear();
  out.datagram.interface = 0;
  --out.datagram.ttl;
  out.datagram.destination = end_in_direction(*changed.mri);
  out.datagram.source = m.header.source_is_signalling ? changed.nli->interface_address : source_of(*changed.mri);
  if (!entering) out.datagram.source_port = kUdpPort;  // so that the reply comes to this node
  return out;
}

// The Response or Error to what a node inside asked: it goes where the sealed part says. Of 255 that may be there one is
// looked at closely, the first with a secret of ours.
std::optional<Nat::Translated> Nat::reply_to_inside(const Datagram& d, const Message& m, TimePoint now) {
  if (d.ttl <= 1) return std::nullopt;
  const RollingSecret::Secret* secret = nullptr;
  const std::vector<Bytes>& all = m.nat_traversal->replaced;
  const auto ours = std::find_if(all.begin(), all.end(), [&](const Bytes& s) { return (secret = secret_of(s, now)) != nullptr; });
  if (ours == all.end()) return std::nullopt;
  const std::optional<Querier> querier = unseal(*secret, *ours, bound_to(m));
  if (!querier) return std::nullopt;
  Translated out{Way::kReply, d};
  out.datagram.ip_header.clear();
  out.datagram.interface = 0;
  --out.datagram.ttl;
  out.datagram.destination = querier->address;
  out.datagram.destination_port = querier->port;
  return out;
}

// From a node inside: outside it is known by the NAT's address, and its associations by the NAT's doors.
std::optional<Nat::Translated> Nat::reply_to_outside(const Datagram& d, const Message& m) const {
  if (!m.nli || !bindings_.is_inside(m.nli->interface_address)) return std::nullopt;
  if (!is_from_inside(d) || bindings_.is_inside(d.destination)) return std::nullopt;
  Message changed = m;
  const IpAddress inside = std::exchange(changed.nli->interface_address, bindings_.outside);
  if (changed.stack_configuration) {
    for (ProtocolOptions& o : changed.stack_configuration->options) {
      const std::uint16_t port = o.data.size() >= 2 ? ByteReader(o.data).u16() : std::uint16_t{0};
      const auto door = std::find_if(bindings_.doors.begin(), bindings_.doors.end(), [&](const NatBindings::Door& each) {
        return each.inside == inside && each.inside_port == port;
      });
      // 5.7.1: what the NAT can't handle is not to be used.
      if (door == bindings_.doors.end()) o.do_not_use = true;
      else o.data = forwards_tcp_option(door->outside_port).data;
    }
  }
  auto payload = with_objects(d.payload, changed, {ObjectType::kNli, ObjectType::kStackConfiguration}, std::nullopt);
  if (!payload) return std::nullopt;
  Translated out{Way::kInPlace, d};
  out.datagram.payload = *std::move(payload);
  return out;
}

Bytes Nat::bound_to(const Message& m) {
  ByteWriter out;
  encode_mri(out, m.nat_traversal->original_mri);
  // An Error names the session in its own way.
  const std::optional<SessionId>& session = !m.session && m.error ? m.error->session : m.session;
  if (session) out.bytes(session->bytes);
  return out.take();
}

Bytes Nat::mac(const RollingSecret::Secret& secret, ByteSpan clear, ByteSpan bound) const {
  ByteWriter data;
  data.bytes(clear);
  data.bytes(bound);
  const Digest digest = crypto_.hmac(secret.key, data.view());
  return Bytes(digest.begin(), digest.begin() + kTagSize);
}

Bytes Nat::seal(const Querier& querier, ByteSpan bound, TimePoint now) {
  const RollingSecret::Secret& secret = secret_.current(now);
  ByteWriter out;
  out.u64(secret.generation);
  out.u8(static_cast<std::uint8_t>(querier.address.bytes().size()));
  out.u8(0);
  out.u16(querier.port);
  out.bytes(querier.address.bytes());
  const Bytes tag = mac(secret, out.view(), bound);
  out.bytes(tag);
  return out.take();
}

const RollingSecret::Secret* Nat::secret_of(ByteSpan sealed, TimePoint now) {
  if (sealed.size() < kBeforeAddress + 4 + kTagSize || sealed.size() > kBeforeAddress + 16 + kTagSize) return nullptr;
  return secret_.find(ByteReader(sealed).u64(), now);
}

std::optional<Nat::Querier> Nat::unseal(const RollingSecret::Secret& secret, ByteSpan sealed, ByteSpan bound) const {
  const ByteSpan clear = sealed.first(sealed.size() - kTagSize);
  const Bytes tag = mac(secret, clear, bound);
  std::byte difference{0};  // in constant time
  for (std::size_t i = 0; i < kTagSize; ++i) difference |= tag[i] ^ sealed[clear.size() + i];
  if (difference != std::byte{0}) return std::nullopt;
  ByteReader in(clear);
  in.skip(8);
  const std::size_t size = in.u8();
  in.skip(1);
  Querier querier;
  querier.port = in.u16();
  querier.address = IpAddress::from_bytes(in.take(size));
  if (!in.ok() || !in.at_end()) return std::nullopt;
  return querier;
}

}  // namespace netserv::gist
