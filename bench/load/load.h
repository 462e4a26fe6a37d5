/* What the load generator's and the sink's BPF programs share with the tool that drives them. */
#ifndef NETSERV_BENCH_LOAD_H
#define NETSERV_BENCH_LOAD_H

#ifdef __cplusplus
#include <cstdint>
using __u8 = std::uint8_t;
using __u16 = std::uint16_t;
using __u32 = std::uint32_t;
using __u64 = unsigned long long;
#endif

#define LOAD_FRAME_MAX 1536
#define LOAD_LATENCY_BUCKETS 65536 /* of 250 ns: up to 16 ms, the last one takes the rest */
#define LOAD_BUCKET_NS 250

/* When a frame was sent: the low 32 bits of CLOCK_MONOTONIC's nanoseconds as letters 'A' to 'P', the lowest four bits
 * first, so that a text may hold them anywhere. They end four bytes before the frame does: before a SIP request's
 * empty line. */
#define LOAD_STAMP_BYTES 8
#define LOAD_STAMP_FROM_END (LOAD_STAMP_BYTES + 4)

struct load_plan {
  __u64 interval_ps; /* between frames; 0: as fast as it goes */
  __u64 start_ns;    /* CLOCK_MONOTONIC; set by the program with the first frame, moved on when it falls behind */
  __u64 first_ns;    /* when the first and the last frame were sent; set by the program */
  __u64 last_ns;
  __u64 sent;
  __u32 egress; /* ifindex */
  __u32 length; /* frame without FCS, bytes */
  __u32 flows;  /* source ports used in turn, from the template's on */
  __u32 source_port_offset; /* in the frame; 0: leave it alone */
  __u32 ports;              /* destination ports used in turn, from first_port on */
  __u32 first_port;
  __u8 frame[LOAD_FRAME_MAX];
};

struct load_sink {
  __u64 received;
  __u64 bytes;
};

#endif
