#include "transport/api_codec.h"

#include <algorithm>
#include <limits>

namespace netserv::transport {
namespace {

using namespace gist;

enum class Kind : std::uint16_t {
  kRegister = 1,
  kSendMessage = 2,
  kSetStateLifetime = 3,
  kInvalidateRoutingState = 4,
  kAnswerQuery = 5,
  kRegistered = 129,
  kRecvMessage = 130,
  kMessageStatus = 131,
  kNetworkNotification = 132,
};

constexpr bool TransferAttributes::*kAttributes[] = {
    &TransferAttributes::reliable,          &TransferAttributes::secure,
    &TransferAttributes::stateless,         &TransferAttributes::in_query,
    &TransferAttributes::explicitly_routed, &TransferAttributes::state_validated,
    &TransferAttributes::return_routable,   &TransferAttributes::peer_is_flow_endpoint};

class Writer : public ByteWriter {
 public:
  explicit Writer(Kind kind) { u16(static_cast<std::uint16_t>(kind)); }
  void flag(bool b) { u8(b ? 1 : 0); }
  void blob(ByteSpan b) {
    u32(static_cast<std::uint32_t>(b.size()));
    bytes(b);
  }
  void milliseconds(Duration d) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
    u32(static_cast<std::uint32_t>(std::clamp<std::int64_t>(ms, 0, std::numeric_limits<std::uint32_t>::max())));
  }
  void mri(const Mri& m) {
    ByteWriter value;
    encode_mri(value, m);
    u16(static_cast<std::uint16_t>(value.size()));
    bytes(value.view());
  }
  void attributes(const TransferAttributes& a) {
    std::uint8_t bits = 0;
    for (std::size_t i = 0; i < std::size(kAttributes); ++i) bits |= static_cast<std::uint8_t>((a.*kAttributes[i]) << i);
    u8(bits);
  }
  template <class T, class Put>
  void maybe(const std::optional<T>& v, Put put) {
    flag(v.has_value());
    if (v) put(*v);
  }
};

class Reader : public ByteReader {
 public:
  using ByteReader::ByteReader;
  bool flag() { return up_to(1) == 1; }
  std::uint8_t up_to(std::uint8_t last) {
    const std::uint8_t v = u8();
    if (v > last) set_failed();
    return ok() ? v : std::uint8_t{0};
  }
  Bytes blob() {
    const ByteSpan raw = take(u32());
    return Bytes(raw.begin(), raw.end());
  }
  Duration milliseconds() { return std::chrono::milliseconds(u32()); }
  gist::SessionId session() {
    gist::SessionId id;
    const ByteSpan raw = take(id.bytes.size());
    if (ok()) std::copy(raw.begin(), raw.end(), id.bytes.begin());
    return id;
  }
  gist::Mri mri() {
    gist::Mri out;
    const ByteSpan value = take(u16());
    if (!ok() || decode_mri(value, out)) set_failed();
    return out;
  }
  TransferAttributes attributes() {
    const std::uint8_t bits = u8();
    TransferAttributes a;
    for (std::size_t i = 0; i < std::size(kAttributes); ++i) a.*kAttributes[i] = (bits >> i & 1) != 0;
    return a;
  }
  template <class Get>
  auto maybe(Get get) -> std::optional<decltype(get())> {
    if (!flag()) return std::nullopt;
    return get();
  }
};

// One function for each message and direction, fields in the order of docs/gist-api.md.
Bytes put(const Register& m) {
  Writer w(Kind::kRegister);
  w.u16(m.nslp.value());
  w.flag(m.sessions_only);
  return w.take();
}
Register get_register(Reader& r) {
  Register m;
  m.nslp = NslpId(r.u16());
  m.sessions_only = r.flag();
  return m;
}

Bytes put(const SendMessage& m) {
  Writer w(Kind::kSendMessage);
  w.u16(m.nslp.value());
  w.u64(m.handle.value());
  w.bytes(m.session.bytes);
  w.mri(m.mri);
  w.u64(m.sii.value());
  w.attributes(m.attributes);
  w.maybe(m.timeout, [&](Duration d) { w.milliseconds(d); });
  w.maybe(m.ip_ttl, [&](std::uint8_t v) { w.u8(v); });
  w.maybe(m.hops, [&](std::uint8_t v) { w.u8(v); });
  w.blob(m.data);
  return w.take();
}
SendMessage get_send(Reader& r) {
  SendMessage m;
  m.nslp = NslpId(r.u16());
  m.handle = MessageHandle(r.u64());
  m.session = r.session();
  m.mri = r.mri();
  m.sii = SiiHandle(r.u64());
  m.attributes = r.attributes();
  m.timeout = r.maybe([&] { return r.milliseconds(); });
  m.ip_ttl = r.maybe([&] { return r.u8(); });
  m.hops = r.maybe([&] { return r.u8(); });
  m.data = r.blob();
  return m;
}

Bytes put(const SetStateLifetime& m) {
  Writer w(Kind::kSetStateLifetime);
  w.u16(m.nslp.value());
  w.mri(m.mri);
  w.maybe(m.session, [&](const gist::SessionId& s) { w.bytes(s.bytes); });
  w.milliseconds(m.lifetime);
  return w.take();
}
SetStateLifetime get_lifetime(Reader& r) {
  SetStateLifetime m;
  m.nslp = NslpId(r.u16());
  m.mri = r.mri();
  m.session = r.maybe([&] { return r.session(); });
  m.lifetime = r.milliseconds();
  return m;
}

Bytes put(const InvalidateRoutingState& m) {
  Writer w(Kind::kInvalidateRoutingState);
  w.maybe(m.nslp, [&](NslpId n) { w.u16(n.value()); });
  w.mri(m.mri);
  w.u8(static_cast<std::uint8_t>(m.status));
  w.flag(m.urgent);
  w.blob(m.data);
  return w.take();
}
InvalidateRoutingState get_invalidate(Reader& r) {
  InvalidateRoutingState m;
  m.nslp = r.maybe([&] { return NslpId(r.u16()); });
  m.mri = r.mri();
  m.status = static_cast<RouteStatus>(r.up_to(2));
  m.urgent = r.flag();
  m.data = r.blob();
  return m;
}

Bytes put(const AnswerQuery& m) {
  Writer w(Kind::kAnswerQuery);
  w.u64(m.ticket.value());
  w.flag(m.answer.peer);
  w.maybe(m.answer.data, [&](const Bytes& b) { w.blob(b); });
  return w.take();
}
AnswerQuery get_answer(Reader& r) {
  AnswerQuery m;
  m.ticket = QueryTicket(r.u64());
  m.answer.peer = r.flag();
  m.answer.data = r.maybe([&] { return r.blob(); });
  return m;
}

Bytes put(const Registered& m) {
  Writer w(Kind::kRegistered);
  w.u16(m.nslp.value());
  w.blob(as_bytes(m.refusal));
  return w.take();
}
Registered get_registered(Reader& r) {
  Registered m;
  m.nslp = NslpId(r.u16());
  m.refusal = std::string(as_text(r.blob()));
  return m;
}

Bytes put(const RecvMessage& m) {
  Writer w(Kind::kRecvMessage);
  w.u16(m.nslp.value());
  w.bytes(m.session.bytes);
  w.mri(m.mri);
  w.maybe(m.check, [&](QueryTicket t) { w.u64(t.value()); });
  w.u64(m.sii.value());
  w.attributes(m.attributes);
  w.u8(m.ip_ttl);
  w.u8(m.ip_distance);
  w.u8(m.hops);
  w.u32(m.interface);
  w.blob(m.data);
  return w.take();
}
RecvMessage get_recv(Reader& r) {
  RecvMessage m;
  m.nslp = NslpId(r.u16());
  m.session = r.session();
  m.mri = r.mri();
  m.check = r.maybe([&] { return QueryTicket(r.u64()); });
  m.sii = SiiHandle(r.u64());
  m.attributes = r.attributes();
  m.ip_ttl = r.u8();
  m.ip_distance = r.u8();
  m.hops = r.u8();
  m.interface = r.u32();
  m.data = r.blob();
  return m;
}

Bytes put(const MessageStatus& m) {
  Writer w(Kind::kMessageStatus);
  w.u16(m.nslp.value());
  w.u64(m.handle.value());
  w.attributes(m.attributes);
  w.u8(static_cast<std::uint8_t>(m.error));
  w.u16(m.gist_code);
  w.u8(m.gist_subcode);
  return w.take();
}
MessageStatus get_status(Reader& r) {
  MessageStatus m;
  m.nslp = NslpId(r.u16());
  m.handle = MessageHandle(r.u64());
  m.attributes = r.attributes();
  m.error = static_cast<SendError>(r.up_to(static_cast<std::uint8_t>(SendError::kUnreachable)));
  m.gist_code = r.u16();
  m.gist_subcode = r.u8();
  return m;
}

Bytes put(const NetworkNotification& m) {
  Writer w(Kind::kNetworkNotification);
  w.u16(m.nslp.value());
  w.bytes(m.session.bytes);
  w.mri(m.mri);
  w.u8(static_cast<std::uint8_t>(m.type));
  w.u8(static_cast<std::uint8_t>(m.status));
  w.u64(m.sii.value());
  return w.take();
}
NetworkNotification get_notification(Reader& r) {
  NetworkNotification m;
  m.nslp = NslpId(r.u16());
  m.session = r.session();
  m.mri = r.mri();
  m.type = static_cast<NetworkNotification::Type>(
      r.up_to(static_cast<std::uint8_t>(NetworkNotification::Type::kCommunicationFailure)));
  m.status = static_cast<RouteStatus>(r.up_to(2));
  m.sii = SiiHandle(r.u64());
  return m;
}

template <class Variant, class Message>
Result<Variant> whole(Reader& r, Message message) {
  if (!r.at_end()) return fail(Origin::kPeer, "API message", "wrong length or a field out of range");
  return Variant(std::move(message));
}

}  // namespace

Bytes encode(const ApiRequest& request) {
  return std::visit([](const auto& m) { return put(m); }, request);
}
Bytes encode(const ApiIndication& indication) {
  return std::visit([](const auto& m) { return put(m); }, indication);
}

Result<ApiRequest> decode_request(ByteSpan bytes) {
  Reader r(bytes);
  switch (static_cast<Kind>(r.u16())) {
    case Kind::kRegister: return whole<ApiRequest>(r, get_register(r));
    case Kind::kSendMessage: return whole<ApiRequest>(r, get_send(r));
    case Kind::kSetStateLifetime: return whole<ApiRequest>(r, get_lifetime(r));
    case Kind::kInvalidateRoutingState: return whole<ApiRequest>(r, get_invalidate(r));
    case Kind::kAnswerQuery: return whole<ApiRequest>(r, get_answer(r));
    default: return fail(Origin::kPeer, "API message", "unknown kind of request");
  }
}

Result<ApiIndication> decode_indication(ByteSpan bytes) {
  Reader r(bytes);
  switch (static_cast<Kind>(r.u16())) {
    case Kind::kRegistered: return whole<ApiIndication>(r, get_registered(r));
    case Kind::kRecvMessage: return whole<ApiIndication>(r, get_recv(r));
    case Kind::kMessageStatus: return whole<ApiIndication>(r, get_status(r));
    case Kind::kNetworkNotification: return whole<ApiIndication>(r, get_notification(r));
    default: return fail(Origin::kPeer, "API message", "unknown kind of indication");
  }
}

}  // namespace netserv::transport
