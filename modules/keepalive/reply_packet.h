// Turns a UDP packet round in place: fresh IP and UDP headers with addresses and ports swapped, and a new payload.
// IP options and extension headers are not returned. Checksums are the node's to make.
#ifndef KEEPALIVE_REPLY_PACKET_H
#define KEEPALIVE_REPLY_PACKET_H

#include "netserv/headers.h"
#include "netserv/text.hpp"

namespace keepalive {

inline constexpr uint8_t kReplyTtl = 64;

// The new length of the packet at `data`, or 0, and nothing written, if it does not fit `capacity`. `ip` and `udp`
// are views of that packet, and stale afterwards; `payload` lies elsewhere.
inline uint32_t turn_round(uint8_t* data, uint32_t capacity, const netserv_ip& ip, const netserv_udp& udp,
                           netserv::guest::Text payload) {
  uint32_t header = ip.version == 4 ? 20 : 40;
  uint32_t udp_length = 8 + payload.size;
  uint32_t total = header + udp_length;
  if (total > capacity || total > 65535) return 0;
  auto put16 = [data](uint32_t at, uint32_t v) {
    data[at] = static_cast<uint8_t>(v >> 8);
    data[at + 1] = static_cast<uint8_t>(v);
  };
  uint8_t addresses[32];
  uint32_t n = ip.version == 4 ? 4 : 16;
  __builtin_memcpy(addresses, ip.destination.data, n);
  __builtin_memcpy(addresses + n, ip.source.data, n);
  if (ip.version == 4) {
    data[0] = 0x45;
    data[1] &= 0xfc;  // DSCP stays, ECN is no answer's to echo
    put16(2, total);
    put16(4, 0);
    put16(6, 0x4000);  // never fragmented, so it needs no identification (RFC 6864)
    data[8] = kReplyTtl;
    data[9] = NETSERV_PROTOCOL_UDP;
    put16(10, 0);
    __builtin_memcpy(data + 12, addresses, 8);
  } else {
    data[1] &= 0xcf;  // ECN's two bits lie in the second byte
    put16(4, udp_length);
    data[6] = NETSERV_PROTOCOL_UDP;
    data[7] = kReplyTtl;
    __builtin_memcpy(data + 8, addresses, 32);
  }
  put16(header, udp.destination_port);
  put16(header + 2, udp.source_port);
  put16(header + 4, udp_length);
  put16(header + 6, 0);
  __builtin_memcpy(data + header + 8, payload.data, payload.size);
  return total;
}

}  // namespace keepalive

#endif  // KEEPALIVE_REPLY_PACKET_H
