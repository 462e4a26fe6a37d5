// A bounded look at an IP packet: just what filters and the forwarder's checks need. Nothing here trusts a
// length field; a packet whose headers do not fit is not classified (and so passes by every module).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "wire/ip/address.h"

namespace netserv {

inline constexpr std::uint8_t kProtocolIcmp = 1;
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;
inline constexpr std::uint8_t kProtocolIcmp6 = 58;

struct PacketHeaders {
  IpAddress source;
  IpAddress destination;
  std::uint8_t protocol = 0;       // upper-layer protocol, after IPv6 extension headers
  std::uint8_t ttl = 0;            // hop limit for IPv6
  bool fragment = false;           // any fragment, the first included
  std::uint16_t l3_length = 0;     // IP header with options or extension headers, bytes
  std::uint32_t total_length = 0;  // as the IP header says; never more than the bytes given
  bool has_ports = false;          // TCP or UDP, not a fragment, and the ports are there
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  bool operator==(const PacketHeaders&) const = default;
};

// `packet` starts at the IP header and may be longer than the packet (link padding). Empty if the bytes are
// no IPv4 or IPv6 packet, or its lengths contradict each other or the span.
std::optional<PacketHeaders> parse_packet(ByteSpan packet);
// The same for the first bytes of a packet that was `original_length` bytes long.
std::optional<PacketHeaders> parse_cut_packet(ByteSpan bytes, std::size_t original_length);

// RFC 1071 sum of `bytes`, folded and complemented, on top of the not yet folded `partial`.
std::uint16_t internet_checksum(ByteSpan bytes, std::uint32_t partial = 0);

// Writes the IPv4 header checksum, and the TCP, UDP, ICMP or ICMPv6 checksum of an unfragmented packet, anew.
// A UDP/IPv4 checksum of zero ("none") is made as well. False if parse_packet() refuses the packet.
bool fix_checksums(std::span<std::byte> packet);

// One hop: TTL or hop limit less one, IPv4 checksum updated (RFC 1141). False, and nothing changed, if it
// would become zero or the packet is too short.
bool decrement_ttl(std::span<std::byte> packet);

}  // namespace netserv
