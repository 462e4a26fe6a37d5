/* Packet header views that cannot run out of bounds: IPv4, IPv6 with its extension headers, UDP, TCP.
 *
 * A parse function looks at every length before it believes it, and fills a view of plain numbers and of
 * pieces (pointer and length) that lie within the bytes given. It answers false for what is no such header,
 * and the view is then not to be used. Nothing here writes. Pieces live as long as the packet's bytes.
 *
 *   struct netserv_ip ip;
 *   struct netserv_udp udp;
 *   if (!netserv_parse_ip(netserv_data(p), p->length, &ip) || !netserv_parse_udp(&ip, &udp)) return;
 *   ... udp.destination_port, udp.payload.data, udp.payload.length ...
 */
#ifndef NETSERV_HEADERS_H
#define NETSERV_HEADERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETSERV_PROTOCOL_TCP 6u
#define NETSERV_PROTOCOL_UDP 17u

struct netserv_piece {
  const uint8_t* data;
  uint32_t length;
};

/* Big-endian integers of a piece; 0 where they would reach past its end. */
static inline uint8_t netserv_u8(struct netserv_piece p, uint32_t at) { return at < p.length ? p.data[at] : 0; }
static inline uint16_t netserv_u16(struct netserv_piece p, uint32_t at) {
  if (p.length < 2 || at > p.length - 2) return 0;
  return (uint16_t)(p.data[at] << 8 | p.data[at + 1]);
}
static inline uint32_t netserv_u32(struct netserv_piece p, uint32_t at) {
  if (p.length < 4 || at > p.length - 4) return 0;
  return (uint32_t)p.data[at] << 24 | (uint32_t)p.data[at + 1] << 16 | (uint32_t)p.data[at + 2] << 8 |
         p.data[at + 3];
}
/* What is left of a piece from `at` on, cut to at most `length`; empty if `at` is past its end. */
static inline struct netserv_piece netserv_sub(struct netserv_piece p, uint32_t at, uint32_t length) {
  struct netserv_piece out = {p.data, 0};
  if (at > p.length) return out;
  out.data = p.data + at;
  out.length = p.length - at < length ? p.length - at : length;
  return out;
}

struct netserv_ip {
  uint8_t version;       /* 4 or 6 */
  uint8_t protocol;      /* of the payload, after IPv6 extension headers */
  uint8_t ttl;           /* or hop limit */
  bool fragment;         /* any fragment, the first included: then payload is not a whole datagram */
  uint32_t header_length; /* with options or extension headers */
  uint32_t total_length;  /* as the header says; never more than the bytes given */
  struct netserv_piece source;      /* 4 or 16 bytes, network order */
  struct netserv_piece destination;
  struct netserv_piece payload; /* from the upper-layer header on, without link padding */
};

struct netserv_udp {
  uint16_t source_port;
  uint16_t destination_port;
  struct netserv_piece payload;
};

struct netserv_tcp {
  uint16_t source_port;
  uint16_t destination_port;
  uint32_t sequence;
  uint32_t acknowledgement;
  uint8_t flags; /* FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32 */
  uint16_t window;
  struct netserv_piece options;
  struct netserv_piece payload;
};

static inline bool netserv_parse_ipv4(struct netserv_piece all, struct netserv_ip* out) {
  if (all.length < 20) return false;
  uint32_t header = (all.data[0] & 15u) * 4u;
  uint32_t total = netserv_u16(all, 2);
  if (header < 20 || total < header || total > all.length) return false;
  out->version = 4;
  out->protocol = all.data[9];
  out->ttl = all.data[8];
  out->fragment = (netserv_u16(all, 6) & 0x3fffu) != 0;
  out->header_length = header;
  out->total_length = total;
  out->source = netserv_sub(all, 12, 4);
  out->destination = netserv_sub(all, 16, 4);
  out->payload = netserv_sub(all, header, total - header);
  return true;
}

static inline bool netserv_parse_ipv6(struct netserv_piece all, struct netserv_ip* out) {
  if (all.length < 40) return false;
  uint32_t total = 40u + netserv_u16(all, 4);
  if (total > all.length) return false;
  all.length = total;
  uint8_t next = all.data[6];
  uint32_t at = 40;
  out->fragment = false;
  /* Hop-by-hop 0, routing 43, fragment 44, authentication 51, destination options 60 (RFC 8200 section 4).
   * Each takes 8 bytes or more, so the loop ends. */
  while (next == 0 || next == 43 || next == 44 || next == 51 || next == 60) {
    if (total - at < 8) return false;
    uint32_t length = 8;
    if (next == 44) {
      out->fragment = true;
    } else if (next == 51) {
      length = (all.data[at + 1] + 2u) * 4u;
    } else {
      length = (all.data[at + 1] + 1u) * 8u;
    }
    if (length < 8 || length > total - at) return false;
    /* What follows a fragment header that is not the first fragment's is no header. */
    bool later = next == 44 && (netserv_u16(all, at + 2) & 0xfff8u) != 0;
    next = all.data[at];
    at += length;
    if (later) break;
  }
  out->version = 6;
  out->protocol = next;
  out->ttl = all.data[7];
  out->header_length = at;
  out->total_length = total;
  out->source = netserv_sub(all, 8, 16);
  out->destination = netserv_sub(all, 24, 16);
  out->payload = netserv_sub(all, at, total - at);
  return true;
}

static inline bool netserv_parse_ip(const uint8_t* data, uint32_t length, struct netserv_ip* out) {
  struct netserv_piece all = {data, length};
  switch (netserv_u8(all, 0) >> 4) {
    case 4: return netserv_parse_ipv4(all, out);
    case 6: return netserv_parse_ipv6(all, out);
    default: return false;
  }
}

/* False for another protocol, for fragments, and where the UDP length says more than there is. */
static inline bool netserv_parse_udp(const struct netserv_ip* ip, struct netserv_udp* out) {
  if (ip->protocol != NETSERV_PROTOCOL_UDP || ip->fragment || ip->payload.length < 8) return false;
  uint32_t length = netserv_u16(ip->payload, 4);
  if (length < 8 || length > ip->payload.length) return false;
  out->source_port = netserv_u16(ip->payload, 0);
  out->destination_port = netserv_u16(ip->payload, 2);
  out->payload = netserv_sub(ip->payload, 8, length - 8);
  return true;
}

static inline bool netserv_parse_tcp(const struct netserv_ip* ip, struct netserv_tcp* out) {
  if (ip->protocol != NETSERV_PROTOCOL_TCP || ip->fragment || ip->payload.length < 20) return false;
  uint32_t header = (ip->payload.data[12] >> 4) * 4u;
  if (header < 20 || header > ip->payload.length) return false;
  out->source_port = netserv_u16(ip->payload, 0);
  out->destination_port = netserv_u16(ip->payload, 2);
  out->sequence = netserv_u32(ip->payload, 4);
  out->acknowledgement = netserv_u32(ip->payload, 8);
  out->flags = ip->payload.data[13];
  out->window = netserv_u16(ip->payload, 14);
  out->options = netserv_sub(ip->payload, 20, header - 20);
  out->payload = netserv_sub(ip->payload, header, ip->payload.length - header);
  return true;
}

#endif /* NETSERV_HEADERS_H */
