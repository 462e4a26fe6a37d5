#include "wire/gist/mri.h"

#include <fmt/format.h>

namespace netserv::gist {
namespace {

constexpr std::uint8_t kPathCoupled = 0;
constexpr std::uint8_t kLooseEnd = 1;

// The first word's 16 bits of method-specific flags; A.3.1.1.
constexpr std::uint16_t kP = 0x0800, kT = 0x0400, kF = 0x0200, kS = 0x0100, kA = 0x0080, kB = 0x0040, kD = 0x0020;
constexpr std::uint16_t kLooseD = 0x0800;

MaybeFault bad_flags(std::size_t value_offset) {
  return ObjectFault{ErrorKind::kInvalidFlagFieldCombination, static_cast<std::uint16_t>(value_offset + 4)};
}

MaybeFault decode_path_coupled(ByteReader& in, std::uint16_t flags, unsigned address_size, PathCoupledMri& mri) {
  const bool v6 = address_size == 16;
  if ((flags & kF) && !v6) return bad_flags(2);
  if ((flags & (kS | kA | kB)) && !(flags & kP)) return bad_flags(3);
  mri.direction = flags & kD ? Direction::kUpstream : Direction::kDownstream;
  mri.source = IpAddress::from_bytes(in.take(address_size));
  mri.destination = IpAddress::from_bytes(in.take(address_size));
  const std::size_t prefix_at = in.position();
  mri.source_prefix = in.u8();
  mri.destination_prefix = in.u8();
  const std::uint8_t protocol = in.u8();
  const std::uint8_t dscp = in.u8() >> 2;
  if (!in.ok()) return wrong_length();
  if (mri.source_prefix > address_size * 8) return bad_flags(prefix_at);
  if (mri.destination_prefix > address_size * 8) return bad_flags(prefix_at + 1);
  if (flags & kP) mri.protocol = protocol;
  if (flags & kT) mri.dscp = dscp;
  if (flags & kF) mri.flow_label = in.u32() & 0xfffff;
  if (flags & kS) mri.spi = in.u32();
  if (flags & (kA | kB)) {
    const std::uint16_t source_port = in.u16();
    const std::uint16_t destination_port = in.u16();
    if (flags & kA) mri.source_port = source_port;
    if (flags & kB) mri.destination_port = destination_port;
  }
  if (!in.ok()) return wrong_length();
  if (!in.at_end()) return wrong_length(in.position());
  return {};
}

std::uint16_t ip_version_bits(const IpAddress& address) { return address.is_v4() ? 0x4000 : 0x6000; }

void encode(ByteWriter& out, const PathCoupledMri& m) {
  const bool ports = m.source_port || m.destination_port;
  out.u8(kPathCoupled);
  out.u8(0);
  out.u16(static_cast<std::uint16_t>(ip_version_bits(m.source) | (m.protocol ? kP : 0) | (m.dscp ? kT : 0) |
                                     (m.flow_label ? kF : 0) | (m.spi ? kS : 0) | (m.source_port ? kA : 0) |
                                     (m.destination_port ? kB : 0) |
                                     (m.direction == Direction::kUpstream ? kD : 0)));
  out.bytes(m.source.bytes());
  out.bytes(m.destination.bytes());
  out.u8(m.source_prefix);
  out.u8(m.destination_prefix);
  out.u8(m.protocol.value_or(0));
  out.u8(static_cast<std::uint8_t>(m.dscp.value_or(0) << 2));
  if (m.flow_label) out.u32(*m.flow_label);
  if (m.spi) out.u32(*m.spi);
  if (ports) {
    out.u16(m.source_port.value_or(0));
    out.u16(m.destination_port.value_or(0));
  }
}

void encode(ByteWriter& out, const LooseEndMri& m) {
  out.u8(kLooseEnd);
  out.u8(0);
  out.u16(static_cast<std::uint16_t>(ip_version_bits(m.source) |
                                     (m.direction == Direction::kUpstream ? kLooseD : 0)));
  out.bytes(m.source.bytes());
  out.bytes(m.destination.bytes());
}

}  // namespace

MaybeFault decode_mri(ByteSpan value, Mri& out) {
  ByteReader in(value);
  const std::uint8_t method = in.u8();
  const bool n_flag = in.u8() & 0x80;
  const std::uint16_t flags = in.u16();
  if (!in.ok()) return wrong_length();
  if (method != kPathCoupled && method != kLooseEnd) return unsupported(0);
  if (n_flag) return bad_flags(1);  // both methods carry addresses that a NAT must translate
  const unsigned version = flags >> 12;
  if (version != 4 && version != 6) return unsupported(2);
  const unsigned address_size = version == 4 ? 4 : 16;
  if (method == kPathCoupled) return decode_path_coupled(in, flags, address_size, out.emplace<PathCoupledMri>());

  LooseEndMri& mri = out.emplace<LooseEndMri>();
  mri.direction = flags & kLooseD ? Direction::kUpstream : Direction::kDownstream;
  mri.source = IpAddress::from_bytes(in.take(address_size));
  mri.destination = IpAddress::from_bytes(in.take(address_size));
  if (!in.at_end()) return wrong_length(in.ok() ? in.position() : 0);
  return {};
}

void encode_mri(ByteWriter& out, const Mri& mri) {
  std::visit([&](const auto& m) { encode(out, m); }, mri);
}

bool is_valid(const Mri& mri) {
  if (source_of(mri).is_v4() != destination_of(mri).is_v4()) return false;
  const auto* m = std::get_if<PathCoupledMri>(&mri);
  if (!m) return true;
  return m->source_prefix <= m->source.bits() && m->destination_prefix <= m->source.bits() &&
         (!m->dscp || *m->dscp < 64) && (!m->flow_label || (m->source.is_v6() && *m->flow_label <= 0xfffff)) &&
         (m->protocol || !(m->spi || m->source_port || m->destination_port));
}

Direction direction_of(const Mri& mri) {
  return std::visit([](const auto& m) { return m.direction; }, mri);
}

Mri inverted(Mri mri) {
  std::visit([](auto& m) { m.direction = inverse(m.direction); }, mri);
  return mri;
}

const IpAddress& source_of(const Mri& mri) {
  return std::visit([](const auto& m) -> const IpAddress& { return m.source; }, mri);
}

const IpAddress& destination_of(const Mri& mri) {
  return std::visit([](const auto& m) -> const IpAddress& { return m.destination; }, mri);
}

const IpAddress& end_in_direction(const Mri& mri) {
  return direction_of(mri) == Direction::kDownstream ? destination_of(mri) : source_of(mri);
}

std::string to_string(const Mri& mri) {
  if (const auto* loose = std::get_if<LooseEndMri>(&mri))
    return fmt::format("loose-end {} -> {} {}", loose->source.to_string(), loose->destination.to_string(),
                       to_string(loose->direction));
  const auto& m = std::get<PathCoupledMri>(mri);
  std::string out = fmt::format("path-coupled {}/{} -> {}/{} {}", m.source.to_string(), m.source_prefix,
                                m.destination.to_string(), m.destination_prefix, to_string(m.direction));
  if (m.protocol) out += fmt::format(" protocol {}", *m.protocol);
  if (m.source_port) out += fmt::format(" from port {}", *m.source_port);
  if (m.destination_port) out += fmt::format(" to port {}", *m.destination_port);
  return out;
}

std::size_t hash_of(const Mri& mri) {
  std::size_t h = mri.index();
  const auto mix = [&h](std::size_t v) { h = (h ^ v) * 0x9e3779b97f4a7c15ull + (h >> 29); };
  mix(std::hash<IpAddress>{}(source_of(mri)));
  mix(std::hash<IpAddress>{}(destination_of(mri)));
  mix(static_cast<std::size_t>(direction_of(mri)));
  if (const auto* m = std::get_if<PathCoupledMri>(&mri)) {
    mix(m->source_prefix | std::size_t{m->destination_prefix} << 8 | std::size_t{m->protocol.value_or(0)} << 16 |
        std::size_t{m->dscp.value_or(0)} << 24);
    mix(m->source_port.value_or(0) | std::size_t{m->destination_port.value_or(0)} << 16);
    mix(m->flow_label.value_or(0) | std::size_t{m->spi.value_or(0)} << 32);
  }
  return h;
}

}  // namespace netserv::gist
