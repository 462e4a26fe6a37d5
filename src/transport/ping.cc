#include "transport/ping.h"

#include <algorithm>

namespace netserv::transport {
namespace {

constexpr std::size_t kMaxName = 64;

gist::SendMessage message_like(const gist::RecvMessage& from, gist::Mri mri, const Ping& ping) {
  gist::SendMessage out;
  out.nslp = from.nslp;
  out.session = from.session;
  out.mri = std::move(mri);
  out.data = encode_ping(ping);
  return out;
}

}  // namespace

Bytes encode_ping(const Ping& p) {
  const std::string name = p.name.substr(0, kMaxName);
  ByteWriter out;
  out.u8(1);
  out.u8(static_cast<std::uint8_t>(p.kind));
  out.u16(p.sequence);
  out.u8(p.hop);
  out.u8(static_cast<std::uint8_t>(name.size()));
  out.u8(static_cast<std::uint8_t>(p.address ? p.address->bytes().size() : 0));
  out.u8(0);
  out.u64(p.stamp);
  if (p.address) out.bytes(p.address->bytes());
  out.text(name);
  out.zeros((4 - out.size() % 4) % 4);
  return out.take();
}

std::optional<Ping> decode_ping(ByteSpan bytes) {
  ByteReader in(bytes);
  if (in.u8() != 1) return std::nullopt;
  Ping p;
  const std::uint8_t kind = in.u8();
  p.kind = static_cast<Ping::Kind>(kind);
  p.sequence = in.u16();
  p.hop = in.u8();
  const std::size_t name = in.u8(), address = in.u8();
  in.skip(1);
  p.stamp = in.u64();
  if (kind < 1 || kind > 3 || name > kMaxName || (address != 0 && address != 4 && address != 16)) return std::nullopt;
  if (address != 0) p.address = IpAddress::from_bytes(in.take(address));
  p.name = std::string(in.text(name));
  if (!in.ok() || in.remaining() > 3) return std::nullopt;
  return p;
}

std::vector<gist::SendMessage> PingResponder::on_message(const gist::RecvMessage& m, const IpAddress& own) {
  const auto ping = decode_ping(m.data);
  if (!ping) return {};
  const bool down = gist::direction_of(m.mri) == gist::Direction::kDownstream;
  if (ping->kind != Ping::Kind::kRequest) {
    if (down) return {};
    return {message_like(m, m.mri, *ping)};
  }
  if (!down || ping->hop == 255) return {};
  Ping echo = *ping;
  echo.kind = Ping::Kind::kEcho;
  ++echo.hop;
  echo.address = own;
  echo.name = name_;
  Ping next = *ping;
  ++next.hop;
  std::vector<gist::SendMessage> out{message_like(m, gist::inverted(m.mri), echo), message_like(m, m.mri, next)};
  if (m.hops == 0) out.pop_back();
  if (out.size() == 2) {
    out[1].hops = m.hops;
    out[1].handle = gist::MessageHandle(++last_handle_);
    if (passed_.size() >= kMaxPassed) passed_.erase(passed_.begin());
    passed_.push_back({last_handle_, {m, echo, own}});
  }
  return out;
}

std::vector<gist::SendMessage> PingResponder::on_status(const gist::MessageStatus& status) {
  const auto it = std::find_if(passed_.begin(), passed_.end(),
                               [&](const auto& p) { return p.first == status.handle.value(); });
  if (it == passed_.end()) return {};
  const Passed passed = std::move(it->second);
  passed_.erase(it);
  if (status.error == gist::SendError::kNone) return {};
  Ping end = passed.ping;
  end.kind = Ping::Kind::kEnd;
  return {message_like(passed.request, gist::inverted(passed.request.mri), end)};
}

}  // namespace netserv::transport
