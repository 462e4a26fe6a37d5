#include "wire/ip/packet.h"

#include <algorithm>
#include <cstring>

namespace netserv {
namespace {

std::uint16_t get_u16(ByteSpan b, std::size_t at) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(b[at]) << 8 | std::to_integer<unsigned>(b[at + 1]));
}
void put_u16(std::span<std::byte> b, std::size_t at, std::uint16_t v) {
  b[at] = std::byte(v >> 8);
  b[at + 1] = std::byte(v & 0xff);
}

void read_ports(ByteSpan packet, PacketHeaders& h) {
  bool transport = h.protocol == kProtocolTcp || h.protocol == kProtocolUdp;
  std::size_t there = std::min<std::size_t>(h.total_length, packet.size());
  if (!transport || h.fragment || there < h.l3_length + 4u) return;
  h.has_ports = true;
  h.source_port = get_u16(packet, h.l3_length);
  h.destination_port = get_u16(packet, h.l3_length + 2u);
}

std::optional<PacketHeaders> parse_v4(ByteSpan p, std::size_t original_length) {
  if (p.size() < 20) return {};
  PacketHeaders h;
  h.l3_length = static_cast<std::uint16_t>((std::to_integer<unsigned>(p[0]) & 15) * 4);
  h.total_length = get_u16(p, 2);
  if (h.l3_length < 20 || h.total_length < h.l3_length || h.total_length > original_length) return {};
  h.fragment = (get_u16(p, 6) & 0x3fff) != 0;  // more-fragments, or an offset
  h.ttl = std::to_integer<std::uint8_t>(p[8]);
  h.protocol = std::to_integer<std::uint8_t>(p[9]);
  h.source = IpAddress::from_bytes(p.subspan(12, 4));
  h.destination = IpAddress::from_bytes(p.subspan(16, 4));
  read_ports(p, h);
  return h;
}

// Walks hop-by-hop (0), routing (43), destination options (60), AH (51) and fragment (44) headers.
std::optional<PacketHeaders> parse_v6(ByteSpan p, std::size_t original_length) {
  if (p.size() < 40) return {};
  PacketHeaders h;
  h.total_length = 40u + get_u16(p, 4);
  if (h.total_length > original_length) return {};
  std::size_t there = std::min<std::size_t>(h.total_length, p.size());
  h.ttl = std::to_integer<std::uint8_t>(p[7]);
  h.source = IpAddress::from_bytes(p.subspan(8, 16));
  h.destination = IpAddress::from_bytes(p.subspan(24, 16));
  std::uint8_t next = std::to_integer<std::uint8_t>(p[6]);
  std::size_t at = 40;
  while (next == 0 || next == 43 || next == 60 || next == 51 || next == 44) {
    if (there < at + 8) return {};
    std::size_t length = next == 44   ? 8
                         : next == 51 ? (std::to_integer<std::size_t>(p[at + 1]) + 2) * 4
                                      : (std::to_integer<std::size_t>(p[at + 1]) + 1) * 8;
    if (next == 44) h.fragment = true;
    bool later_fragment = next == 44 && (get_u16(p, at + 2) & 0xfff8) != 0;
    next = std::to_integer<std::uint8_t>(p[at]);
    at += length;
    if (at > h.total_length || at > 0xffff) return {};
    if (later_fragment) break;  // what follows is payload, not a header
  }
  h.protocol = next;
  h.l3_length = static_cast<std::uint16_t>(at);
  read_ports(p, h);
  return h;
}

std::uint32_t add_words(ByteSpan bytes, std::uint32_t sum) {
  std::uint64_t wide = sum;
  std::size_t i = 0;
  for (; i + 1 < bytes.size(); i += 2) wide += get_u16(bytes, i);
  if (i < bytes.size()) wide += std::to_integer<unsigned>(bytes[i]) << 8;
  while (wide >> 32) wide = (wide & 0xffffffff) + (wide >> 32);
  return static_cast<std::uint32_t>((wide & 0xffff) + (wide >> 16));
}

struct ChecksumPlace {
  std::size_t offset;  // in the transport header
  std::size_t least;   // shortest transport header, bytes
};
std::optional<ChecksumPlace> checksum_place(std::uint8_t protocol) {
  switch (protocol) {
    case kProtocolTcp: return ChecksumPlace{16, 20};
    case kProtocolUdp: return ChecksumPlace{6, 8};
    case kProtocolIcmp: return ChecksumPlace{2, 4};
    case kProtocolIcmp6: return ChecksumPlace{2, 4};
    default: return {};
  }
}

}  // namespace

std::optional<PacketHeaders> parse_packet(ByteSpan packet) { return parse_cut_packet(packet, packet.size()); }

std::optional<PacketHeaders> parse_cut_packet(ByteSpan packet, std::size_t original_length) {
  if (packet.empty()) return {};
  switch (std::to_integer<unsigned>(packet[0]) >> 4) {
    case 4: return parse_v4(packet, original_length);
    case 6: return parse_v6(packet, original_length);
    default: return {};
  }
}

std::uint16_t internet_checksum(ByteSpan bytes, std::uint32_t partial) {
  std::uint32_t sum = add_words(bytes, partial);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

bool fix_checksums(std::span<std::byte> packet) {
  auto h = parse_packet(packet);
  if (!h) return false;
  if (h->source.is_v4()) {
    put_u16(packet, 10, 0);
    put_u16(packet, 10, internet_checksum(packet.first(h->l3_length)));
  }
  auto place = checksum_place(h->protocol);
  std::size_t transport_length = h->total_length - h->l3_length;
  if (h->fragment || !place || transport_length < place->least) return true;
  if (h->protocol == kProtocolIcmp && h->source.is_v6()) return true;

  auto transport = packet.subspan(h->l3_length, transport_length);
  put_u16(transport, place->offset, 0);
  std::uint32_t pseudo = 0;
  if (h->protocol != kProtocolIcmp) {
    pseudo = add_words(h->source.bytes(), pseudo);
    pseudo = add_words(h->destination.bytes(), pseudo);
    pseudo += h->protocol + static_cast<std::uint32_t>(transport_length);
  }
  std::uint16_t sum = internet_checksum(transport, pseudo);
  if (sum == 0 && h->protocol == kProtocolUdp) sum = 0xffff;  // zero on the wire means "none" (RFC 768)
  put_u16(transport, place->offset, sum);
  return true;
}

bool decrement_ttl(std::span<std::byte> packet) {
  if (packet.size() < 20) return false;
  bool v6 = std::to_integer<unsigned>(packet[0]) >> 4 == 6;
  std::size_t at = v6 ? 7 : 8;
  if (std::to_integer<unsigned>(packet[at]) <= 1) return false;
  packet[at] = std::byte(std::to_integer<unsigned>(packet[at]) - 1);
  if (!v6) {
    std::uint32_t sum = get_u16(packet, 10) + 0x100u;
    put_u16(packet, 10, static_cast<std::uint16_t>(sum + (sum >> 16)));
  }
  return true;
}

}  // namespace netserv
