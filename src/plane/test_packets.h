// Packets for tests, with right checksums.
#pragma once

#include <string_view>

#include "base/bytes.h"
#include "wire/ip/packet.h"

namespace netserv::plane {

struct UdpSpec {
  std::string_view from, to;
  std::uint16_t from_port = 4000, to_port = 5060;
  std::string_view payload = "hello";
  std::uint8_t ttl = 64;
  bool more_fragments = false;
};

inline Bytes make_udp(const UdpSpec& s) {
  auto from = *IpAddress::parse(s.from), to = *IpAddress::parse(s.to);
  auto udp_length = static_cast<std::uint16_t>(8 + s.payload.size());
  ByteWriter w;
  if (from.is_v4()) {
    w.u8(0x45), w.u8(0), w.u16(static_cast<std::uint16_t>(20 + udp_length)), w.u16(1);
    w.u16(s.more_fragments ? 0x2000 : 0), w.u8(s.ttl), w.u8(kProtocolUdp), w.u16(0);
  } else {
    w.u32(0x60000000), w.u16(udp_length), w.u8(kProtocolUdp), w.u8(s.ttl);
  }
  w.bytes(from.bytes());
  w.bytes(to.bytes());
  w.u16(s.from_port), w.u16(s.to_port), w.u16(udp_length), w.u16(0);
  w.text(s.payload);
  Bytes out = w.take();
  fix_checksums(out);
  return out;
}

}  // namespace netserv::plane
