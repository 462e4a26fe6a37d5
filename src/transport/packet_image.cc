#include "transport/packet_image.h"

#include <algorithm>

#include "wire/ip/packet.h"

namespace netserv::transport {
namespace {

constexpr std::size_t kUdpHeader = 8;

std::uint8_t at(ByteSpan bytes, std::size_t i) { return std::to_integer<std::uint8_t>(bytes[i]); }

void put_u16(Bytes& bytes, std::size_t i, std::size_t value) {
  bytes[i] = std::byte(value >> 8 & 0xff);
  bytes[i + 1] = std::byte(value & 0xff);
}

void write_udp(ByteWriter& out, const gist::Datagram& d) {
  out.u16(d.source_port);
  out.u16(d.destination_port);
  out.u16(static_cast<std::uint16_t>(kUdpHeader + d.payload.size()));
  out.u16(0);
  out.bytes(d.payload);
}

constexpr std::size_t kOptionWords = 1;

void write_v4(ByteWriter& out, const gist::Datagram& d, std::size_t option_words) {
  const std::size_t header = 20 + 4 * option_words;
  out.u8(static_cast<std::uint8_t>(0x40 | header / 4));
  out.u8(static_cast<std::uint8_t>(d.dscp << 2));
  out.u16(static_cast<std::uint16_t>(header + kUdpHeader + d.payload.size()));
  out.u16(0);
  out.u16(0x4000);
  out.u8(d.ttl);
  out.u8(kProtocolUdp);
  out.u16(0);
  out.bytes(d.source.bytes());
  out.bytes(d.destination.bytes());
}

void write_v6(ByteWriter& out, const gist::Datagram& d, std::size_t length, std::uint8_t next_header) {
  out.u32(0x60000000u | static_cast<std::uint32_t>(d.dscp) << 22 | (d.flow_label & 0xfffff));
  out.u16(static_cast<std::uint16_t>(length));
  out.u8(next_header);
  out.u8(d.ttl);
  out.bytes(d.source.bytes());
  out.bytes(d.destination.bytes());
}

Bytes finished(ByteWriter& out) {
  Bytes packet = out.take();
  fix_checksums(packet);
  return packet;
}

}  // namespace

std::optional<gist::Datagram> read_packet(ByteSpan packet, std::uint32_t interface) {
  const auto headers = parse_packet(packet);
  if (!headers || headers->protocol != kProtocolUdp || headers->fragment || !headers->has_ports) return std::nullopt;
  const std::size_t l3 = headers->l3_length, total = headers->total_length;
  if (total < l3 + kUdpHeader) return std::nullopt;
  const std::size_t udp_length = static_cast<std::size_t>(at(packet, l3 + 4)) << 8 | at(packet, l3 + 5);
  if (udp_length < kUdpHeader || l3 + udp_length != total) return std::nullopt;

  gist::Datagram d;
  d.source = headers->source;
  d.destination = headers->destination;
  d.source_port = headers->source_port;
  d.destination_port = headers->destination_port;
  d.ttl = headers->ttl;
  if (d.source.is_v4()) {
    d.dscp = static_cast<std::uint8_t>(at(packet, 1) >> 2);
  } else {
    d.dscp = static_cast<std::uint8_t>((at(packet, 0) & 0x0f) << 2 | at(packet, 1) >> 6);
    d.flow_label = static_cast<std::uint32_t>((at(packet, 1) & 0x0f) << 16 | at(packet, 2) << 8 | at(packet, 3));
  }
  d.interface = interface;
  const ByteSpan header = packet.first(l3), payload = packet.subspan(l3 + kUdpHeader, udp_length - kUdpHeader);
  d.ip_header.assign(header.begin(), header.end());
  d.payload.assign(payload.begin(), payload.end());
  return d;
}

Bytes rebuild_packet(const gist::Datagram& d) {
  ByteWriter out;
  out.bytes(d.ip_header);
  write_udp(out, d);
  Bytes packet = out.take();
  if (d.source.is_v4()) {
    put_u16(packet, 2, packet.size());
    packet[8] = std::byte(d.ttl);
  } else {
    put_u16(packet, 4, packet.size() - 40);
    packet[7] = std::byte(d.ttl);
  }
  fix_checksums(packet);
  return packet;
}

Bytes query_packet(const gist::Datagram& d, std::uint16_t router_alert) {
  ByteWriter out;
  const std::size_t udp = kUdpHeader + d.payload.size();
  if (d.source.is_v4()) {
    write_v4(out, d, kOptionWords);
    out.u8(0x94);  // RFC 2113
    out.u8(4);
    out.u16(router_alert);
  } else {
    write_v6(out, d, 8 + udp, 0);  // hop-by-hop options
    out.u8(kProtocolUdp);
    out.u8(0);
    out.u16(0x0502);  // RFC 2711
    out.u16(router_alert);
    out.u16(0x0100);  // PadN of two bytes
  }
  write_udp(out, d);
  return finished(out);
}

Bytes plain_packet(const gist::Datagram& d) {
  ByteWriter out;
  if (d.source.is_v4()) write_v4(out, d, 0);
  else write_v6(out, d, kUdpHeader + d.payload.size(), kProtocolUdp);
  write_udp(out, d);
  return finished(out);
}

}  // namespace netserv::transport
