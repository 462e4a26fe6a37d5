#include "wire/gist_api/codec.h"

#include <algorithm>
#include <limits>

namespace netserv::gist {
namespace {

constexpr std::uint8_t kReliable = 0x01, kSecure = 0x02, kStateless = 0x04, kInQuery = 0x08, kExplicit = 0x10,
                       kValidated = 0x20, kReturnRoutable = 0x40, kEndpoint = 0x80;

class Writer {
 public:
  explicit Writer(std::uint8_t type) {
    out_.u8(kApiVersion);
    out_.u8(type);
    out_.u16(0);
  }
  ByteWriter& raw() { return out_; }
  void data(const Bytes& b) {
    out_.u32(static_cast<std::uint32_t>(b.size()));
    out_.bytes(b);
  }
  void text(const std::string& t) {
    const std::size_t n = std::min<std::size_t>(t.size(), 255);
    out_.u8(static_cast<std::uint8_t>(n));
    out_.text(std::string_view(t).substr(0, n));
  }
  void mri(const Mri& m) {
    ByteWriter w;
    encode_mri(w, m);
    out_.u16(static_cast<std::uint16_t>(w.size()));
    out_.bytes(w.view());
  }
  void session(const SessionId& s) { out_.bytes(s.bytes); }
  void flag(bool b) { out_.u8(b ? 1 : 0); }
  void duration(Duration d) {
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(d).count();
    out_.u64(static_cast<std::uint64_t>(std::max<std::int64_t>(ms, 0)));
  }
  void attributes(const TransferAttributes& a) {
    out_.u8(static_cast<std::uint8_t>(
        (a.reliable ? kReliable : 0) | (a.secure ? kSecure : 0) | (a.stateless ? kStateless : 0) |
        (a.in_query ? kInQuery : 0) | (a.explicitly_routed ? kExplicit : 0) | (a.state_validated ? kValidated : 0) |
        (a.return_routable ? kReturnRoutable : 0) | (a.peer_is_flow_endpoint ? kEndpoint : 0)));
  }
  Bytes take() { return out_.take(); }

 private:
  ByteWriter out_;
};

class Reader {
 public:
  explicit Reader(ByteSpan packet) : in_(packet) {}
  ByteReader& raw() { return in_; }
  bool finished() const { return good_ && in_.at_end(); }
  void data(Bytes& b) {
    const ByteSpan span = in_.take(in_.u32());
    b.assign(span.begin(), span.end());
  }
  void text(std::string& t) { t = in_.text(in_.u8()); }
  void mri(Mri& m) {
    const ByteSpan span = in_.take(in_.u16());
    if (!in_.ok() || decode_mri(span, m)) good_ = false;
  }
  void session(SessionId& s) {
    const ByteSpan span = in_.take(s.bytes.size());
    std::copy(span.begin(), span.end(), s.bytes.begin());
  }
  bool flag() {
    const std::uint8_t v = in_.u8();
    if (v > 1) good_ = false;
    return v == 1;
  }
  Duration duration() {
    const std::uint64_t ms = in_.u64();
    constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max() / 1000000;
    if (ms > kMost) good_ = false;
    return std::chrono::milliseconds(static_cast<std::int64_t>(std::min(ms, kMost)));
  }
  template <class E>
  E enumerator(E last) {
    const std::uint8_t v = in_.u8();
    if (v > static_cast<std::uint8_t>(last)) good_ = false;
    return static_cast<E>(v);
  }
  TransferAttributes attributes() {
    const std::uint8_t bits = in_.u8();
    TransferAttributes a;
    a.reliable = bits & kReliable;
    a.secure = bits & kSecure;
    a.stateless = bits & kStateless;
    a.in_query = bits & kInQuery;
    a.explicitly_routed = bits & kExplicit;
    a.state_validated = bits & kValidated;
    a.return_routable = bits & kReturnRoutable;
    a.peer_is_flow_endpoint = bits & kEndpoint;
    return a;
  }
  // Optional fields come after a byte that says whether they are there.
  template <class T, class F>
  void optional(std::optional<T>& value, F read) {
    if (flag()) value = read();
  }

 private:
  ByteReader in_;
  bool good_ = true;
};

void write(Writer& w, const Attach& m) {
  w.raw().u16(m.nslp.value());
  w.text(m.name);
}
void read(Reader& r, Attach& m) {
  m.nslp = NslpId(r.raw().u16());
  r.text(m.name);
}

void write(Writer& w, const AttachReply& m) {
  w.flag(m.accepted);
  w.text(m.text);
}
void read(Reader& r, AttachReply& m) {
  m.accepted = r.flag();
  r.text(m.text);
}

void write(Writer& w, const SendMessage& m) {
  w.raw().u64(m.handle.value());
  w.raw().u16(m.nslp.value());
  w.session(m.session);
  w.mri(m.mri);
  w.raw().u64(m.sii.value());
  w.attributes(m.attributes);
  w.flag(m.timeout.has_value());
  if (m.timeout) w.duration(*m.timeout);
  w.flag(m.ip_ttl.has_value());
  if (m.ip_ttl) w.raw().u8(*m.ip_ttl);
  w.flag(m.hops.has_value());
  if (m.hops) w.raw().u8(*m.hops);
  w.data(m.data);
}
void read(Reader& r, SendMessage& m) {
  m.handle = MessageHandle(r.raw().u64());
  m.nslp = NslpId(r.raw().u16());
  r.session(m.session);
  r.mri(m.mri);
  m.sii = SiiHandle(r.raw().u64());
  m.attributes = r.attributes();
  r.optional(m.timeout, [&] { return r.duration(); });
  r.optional(m.ip_ttl, [&] { return r.raw().u8(); });
  r.optional(m.hops, [&] { return r.raw().u8(); });
  r.data(m.data);
}

void write(Writer& w, const AnswerQuery& m) {
  w.raw().u64(m.ticket.value());
  w.flag(m.answer.peer);
  w.flag(m.answer.data.has_value());
  if (m.answer.data) w.data(*m.answer.data);
}
void read(Reader& r, AnswerQuery& m) {
  m.ticket = QueryTicket(r.raw().u64());
  m.answer.peer = r.flag();
  if (r.flag()) r.data(m.answer.data.emplace());
}

void write(Writer& w, const SetStateLifetime& m) {
  w.raw().u16(m.nslp.value());
  w.mri(m.mri);
  w.flag(m.session.has_value());
  if (m.session) w.session(*m.session);
  w.duration(m.lifetime);
}
void read(Reader& r, SetStateLifetime& m) {
  m.nslp = NslpId(r.raw().u16());
  r.mri(m.mri);
  if (r.flag()) r.session(m.session.emplace());
  m.lifetime = r.duration();
}

void write(Writer& w, const InvalidateRoutingState& m) {
  w.flag(m.nslp.has_value());
  if (m.nslp) w.raw().u16(m.nslp->value());
  w.mri(m.mri);
  w.raw().u8(static_cast<std::uint8_t>(m.status));
  w.flag(m.urgent);
  w.data(m.data);
}
void read(Reader& r, InvalidateRoutingState& m) {
  r.optional(m.nslp, [&] { return NslpId(r.raw().u16()); });
  r.mri(m.mri);
  m.status = r.enumerator(RouteStatus::kTentative);  // kGood makes no sense here
  m.urgent = r.flag();
  r.data(m.data);
}

void write(Writer& w, const RecvMessage& m) {
  w.raw().u16(m.nslp.value());
  w.session(m.session);
  w.mri(m.mri);
  w.flag(m.check.has_value());
  if (m.check) w.raw().u64(m.check->value());
  w.raw().u64(m.sii.value());
  w.attributes(m.attributes);
  w.raw().u8(m.ip_ttl);
  w.raw().u8(m.ip_distance);
  w.raw().u8(m.hops);
  w.raw().u32(m.interface);
  w.data(m.data);
}
void read(Reader& r, RecvMessage& m) {
  m.nslp = NslpId(r.raw().u16());
  r.session(m.session);
  r.mri(m.mri);
  r.optional(m.check, [&] { return QueryTicket(r.raw().u64()); });
  m.sii = SiiHandle(r.raw().u64());
  m.attributes = r.attributes();
  m.ip_ttl = r.raw().u8();
  m.ip_distance = r.raw().u8();
  m.hops = r.raw().u8();
  m.interface = r.raw().u32();
  r.data(m.data);
}

void write(Writer& w, const MessageStatus& m) {
  w.raw().u64(m.handle.value());
  w.raw().u16(m.nslp.value());
  w.attributes(m.attributes);
  w.raw().u8(static_cast<std::uint8_t>(m.error));
  w.raw().u16(m.gist_code);
  w.raw().u8(m.gist_subcode);
}
void read(Reader& r, MessageStatus& m) {
  m.handle = MessageHandle(r.raw().u64());
  m.nslp = NslpId(r.raw().u16());
  m.attributes = r.attributes();
  m.error = r.enumerator(SendError::kUnreachable);
  m.gist_code = r.raw().u16();
  m.gist_subcode = r.raw().u8();
}

void write(Writer& w, const NetworkNotification& m) {
  w.raw().u16(m.nslp.value());
  w.session(m.session);
  w.mri(m.mri);
  w.raw().u8(static_cast<std::uint8_t>(m.type));
  w.raw().u8(static_cast<std::uint8_t>(m.status));
  w.raw().u64(m.sii.value());
}
void read(Reader& r, NetworkNotification& m) {
  m.nslp = NslpId(r.raw().u16());
  r.session(m.session);
  r.mri(m.mri);
  m.type = r.enumerator(NetworkNotification::Type::kCommunicationFailure);
  m.status = r.enumerator(RouteStatus::kGood);
  m.sii = SiiHandle(r.raw().u64());
}

template <std::size_t I = 0>
bool read_type(Reader& r, std::size_t type, ApiMessage& out) {
  if constexpr (I < std::variant_size_v<ApiMessage>) {
    if (type != I + 1) return read_type<I + 1>(r, type, out);
    read(r, out.emplace<I>());
    return true;
  } else {
    return false;
  }
}

}  // namespace

Bytes encode_api_message(const ApiMessage& message) {
  Writer w(static_cast<std::uint8_t>(message.index() + 1));
  std::visit([&](const auto& m) { write(w, m); }, message);
  return w.take();
}

Result<ApiMessage> decode_api_message(ByteSpan packet) {
  Reader r(packet);
  const std::uint8_t version = r.raw().u8();
  const std::uint8_t type = r.raw().u8();
  r.raw().skip(2);
  if (!r.raw().ok()) return fail(Origin::kPeer, "GIST API", "shorter than a header");
  if (version != kApiVersion) return fail(Origin::kPeer, "GIST API", "version " + std::to_string(version) + " is not 1");
  ApiMessage out;
  if (!read_type(r, type, out)) return fail(Origin::kPeer, "GIST API", "unknown message type " + std::to_string(type));
  if (!r.finished()) return fail(Origin::kPeer, "GIST API", "malformed message of type " + std::to_string(type));
  return out;
}

}  // namespace netserv::gist
