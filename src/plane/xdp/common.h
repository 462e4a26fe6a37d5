/* What the XDP program and the forwarder's xdp plane share: map keys and values, and the metadata that travels
 * before a packet in the UMEM. Read by BPF C and by C++. */
#ifndef NETSERV_PLANE_XDP_COMMON_H
#define NETSERV_PLANE_XDP_COMMON_H

#ifdef __cplusplus
#include <cstdint>
using __u8 = std::uint8_t;
using __u16 = std::uint16_t;
using __u32 = std::uint32_t;
using __u64 = unsigned long long;
#define NSX_ASSERT(expression) static_assert(expression, #expression)
#else
#define NSX_ASSERT(expression) _Static_assert(expression, #expression)
#endif

#define NSX_MAX_SHAPES 64
#define NSX_MAX_FILTERS 65536
#define NSX_MAX_WORKERS 16 /* a power of two */
#define NSX_MAX_SOCKETS 256 /* AF_XDP sockets: one for each interface and receive queue */
#define NSX_PACKET_MAX 2048 /* a ring slot: what is longer from the IP header on is the kernel's */
#define NSX_FRAME_MAX 2104 /* what fits into a frame of packet memory (umem.h), VLAN tags and padding included */
#define NSX_FRAME_BYTES (37 * 64) /* a frame of packet memory where the kernel copies (umem.h) */
#define NSX_FRAME_HEADROOM 256 /* in it before the Ethernet header (XDP_PACKET_HEADROOM) */
#define NSX_LANE 16384 /* places, a power of two: more than the frames laid out and the CPUs together */
#define NSX_READY 4096 /* places, a power of two */
#define NSX_SNAP_SMALL 64 /* copies up to this take a small record */
#define NSX_SNAP_MAX 2048 /* longer ones are cut here */

/* Which fields of a filter are set, and how long its prefixes are: the filters of one shape share one look-up. */
struct nsx_shape {
  __u8 family;       /* 4, 6; 0: end of the list */
  __u8 has_protocol;
  __u8 has_port;
  __u8 reserved;
  __u32 source_mask[4]; /* of the prefix's length, network order; all 0: any */
  __u32 destination_mask[4];
};
NSX_ASSERT(sizeof(struct nsx_shape) == 36);

struct nsx_key {
  __u32 shape; /* index into the shapes */
  __u16 port;  /* destination port, network order; 0 unless the shape has it */
  __u8 protocol;
  __u8 reserved;
  __u32 source[4]; /* network order, masked; an IPv4 address is in the first word */
  __u32 destination[4];
};
NSX_ASSERT(sizeof(struct nsx_key) == 40);

struct nsx_value {
  __u32 in_path;       /* NSX_IN_PATH: some module wants these packets in its path; NSX_FAIL_CLOSED: or not at all */
  __u32 observed;      /* 1: some module wants copies */
  __u32 snap_length;   /* the most any observer asks for, bytes from the IP header on */
  __u32 sample_one_in; /* the least any observer asks for; 1 = every packet */
};
NSX_ASSERT(sizeof(struct nsx_value) == 16);
#define NSX_IN_PATH 1u
#define NSX_FAIL_CLOSED 2u

/* A worker's last round, CLOCK_MONOTONIC; in a cache line of its own. */
struct nsx_beat {
  __u64 ns;
  __u64 reserved[7];
};

/* Map `state`, one element, mapped by the forwarder. */
struct nsx_state {
  struct nsx_beat beats[NSX_MAX_WORKERS]; /* worker q % workers serves receive queue q */
  __u64 heartbeat_limit_ns;
  __u32 shape_count;
  __u32 workers;
  __u32 lanes_used;
  __u32 reserved;
  __u64 copies_lost;  /* counted by the program, on all CPUs */
  __u8 next_hops[256]; /* by the last byte of its MAC address: 1 if packets have gone to such a one; the forwarder writes 0 */
};
NSX_ASSERT(sizeof(struct nsx_beat) == 64);

/* Map `ports`, by ifindex: an interface the plane works on. */
struct nsx_port {
  __u32 first_socket; /* slot of receive queue 0 in the socket map; queue n is first_socket + n */
  __u32 queues;
  __u8 mac[6]; /* its own: frames to others' are not routed */
  __u8 reserved[2];
};
NSX_ASSERT(sizeof(struct nsx_port) == 16);

/* Lies directly before the frame in XDP metadata. `egress` 0: the kernel must route it. */
struct nsx_meta {
  __u16 magic;
  __u16 fail_closed; /* 1: rather dropped than passed by */
  __u32 egress; /* ifindex the FIB names; one without a socket is the kernel's to send on */
  __u8 destination_mac[6];
  __u8 source_mac[6];
  __u32 ingress; /* ifindex */
};
NSX_ASSERT(sizeof(struct nsx_meta) == 24);
#define NSX_META_MAGIC 0x4e53u

/* A frame of packet memory that is ready to leave, from its Ethernet header on. */
struct nsx_departure {
  __u32 frame; /* its number */
  __u32 length;
  __u32 egress; /* ifindex, in map `egress` */
  __u32 gone;   /* 1: it is the forwarder's again */
};
NSX_ASSERT(sizeof(struct nsx_departure) == 16);

/* Map `lanes`, one element a worker, mapped by the forwarder: the exchange of frames between the program, on any CPU, and
 * the worker's packet memory, where the kernel does not do it by itself. Tickets count up for ever; ticket t's place is
 * t modulo the size.
 * In: the forwarder lays out free frames up to ticket `free_end`. The program takes the next ticket, copies what has come,
 * and says so in `arrived`.
 * Out: frames are ready up to ticket `ready_end`; whoever moves `ready_next` on has the one before it: the program, which
 * sends it away in the very frame that has come in, or the forwarder. */
struct nsx_lane {
  __u32 free_next;
  __u32 ready_next;
  __u32 reserved0[14];
  __u32 free_end;
  __u32 ready_end;
  __u32 asleep; /* 1: the worker waits for a record in its ring buffer of map `wakes` */
  __u32 reserved1[13];
  __u32 free[NSX_LANE];    /* numbers of frames */
  __u32 arrived[NSX_LANE]; /* 0: not yet; else bytes, from the Ethernet header on, or NSX_NOTHING */
  struct nsx_departure ready[NSX_READY];
};
NSX_ASSERT(sizeof(struct nsx_lane) == 128 + 8 * NSX_LANE + 16 * NSX_READY);
#define NSX_NOTHING 0xffffffffu /* the ticket's frame, laid out now or later, holds nothing */

/* Before the copy in the observers' ring buffer. */
struct nsx_copy {
  __u64 received_ns;
  __u32 ingress;
  __u32 original_length; /* from the IP header on */
  __u32 length;          /* bytes that follow */
  __u32 sampled_one_in;  /* already done here */
};
NSX_ASSERT(sizeof(struct nsx_copy) == 24);

/* Map `counters`, per CPU. */
enum nsx_counter {
  NSX_SEEN,             /* frames that reached the program */
  NSX_UNMATCHED,        /* no filter: to the kernel */
  NSX_REDIRECTED,       /* to the forwarder */
  NSX_FORWARDED,        /* observed only: forwarded here */
  NSX_BYPASS_HEARTBEAT, /* the forwarder is late or gone: to the kernel */
  NSX_BYPASS_SOCKET,    /* no AF_XDP socket for that queue */
  NSX_BYPASS_FRAGMENT,
  NSX_BYPASS_MALFORMED,
  NSX_BYPASS_VLAN,
  NSX_BYPASS_LOCAL,     /* addressed to the node itself */
  NSX_BYPASS_ICMP,      /* TTL ends here, or longer than the egress MTU and not to be cut: the kernel answers */
  NSX_BYPASS_META,      /* no room for the metadata */
  NSX_BYPASS_SIGNALLING, /* UDP port 270 is gistd's */
  NSX_BYPASS_SCOPE,     /* frame to another station, or an address that no router forwards */
  NSX_BYPASS_ROUTE,     /* forwarding is off there, or the route says blackhole, prohibit, unreachable */
  NSX_BYPASS_OVERSIZE,  /* longer than NSX_PACKET_MAX, or than the egress MTU: the kernel cuts it */
  NSX_BYPASS_FULL,      /* no free frame in the worker's lane */
  NSX_DROPPED_FAIL_CLOSED, /* late, or no free frame, and the filter asked for fail-closed */
  NSX_EXCHANGED,        /* left in a frame that had come in */
  NSX_EXCHANGE_LOST,    /* its egress interface takes no redirects any more */
  NSX_COPIES,
  NSX_COPIES_LOST, /* the ring buffer was full */
  NSX_COUNTERS
};

#endif
