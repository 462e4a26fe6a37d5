/* The binary interface between a NetServ module and the node that hosts it, version 1.
 *
 * A module is one WebAssembly file: 32-bit, little-endian, one memory. This header is read by modules (clang
 * --target=wasm32) and by the host; the layouts below are the same on both sides. Publishers rather include
 * netserv/module.h (C) or netserv/module.hpp (C++), which build on it.
 *
 * What a module exports:
 *   memory                       its linear memory
 *   netserv_window  (i32 global) address of its packet window: 65536-aligned, NETSERV_WINDOW_BYTES long
 *   netserv_batch   (i32 global) address of an array of NETSERV_BATCH_MAX struct netserv_packet
 *   _initialize()                optional; called first (reactor start-up of the C and C++ libraries)
 *   netserv_start() -> i32       optional; 0, or a code of its own that makes the installation fail
 *   netserv_process(i32 count)   packet modules: look at netserv_batch[0..count) and write verdicts
 *   netserv_timer(i32 id)        optional; a timer of block timer/1 went off
 *   netserv_readable(i32 handle) optional; a socket of block udp/1 has something to read
 *   netserv_properties()         optional; the properties have been replaced
 *   netserv_stop()               optional; about to be removed; must return soon
 * Reserved for state hand-over between versions: netserv_save_state, netserv_load_state; accepted, never called.
 * Every call runs on one thread, never nested. A module that traps, or does not return within the node's
 * limit, is discarded and started anew; packets of the batch pass as if it were not there.
 *
 * The host maps the packet window of all modules of a publisher's container onto the same bytes, so a chain
 * works in place. A packet's bytes are the module's to read and write only during netserv_process().
 */
#ifndef NETSERV_ABI_H
#define NETSERV_ABI_H

#include <stdint.h>

#define NETSERV_ABI_VERSION 1

#define NETSERV_SLOT_BYTES 2048u   /* room for one packet in the window */
#define NETSERV_WINDOW_SLOTS 512u
#define NETSERV_WINDOW_BYTES (NETSERV_SLOT_BYTES * NETSERV_WINDOW_SLOTS)
#define NETSERV_WINDOW_ALIGNMENT 65536u
#define NETSERV_BATCH_MAX 64u

/* Verdicts. */
#define NETSERV_PASS 0u  /* to the next module of the chain, then on its way */
#define NETSERV_DROP 1u
#define NETSERV_REPLY 2u /* rewritten in place (changed must be 1): send it back the way it came */
#define NETSERV_STEAL 3u /* the module has copied what it needs and will emit later; the packet ends here */

/* netserv_packet.flags */
#define NETSERV_FLAG_COPY 1u      /* a copy for an observer: the verdict has no effect */
#define NETSERV_FLAG_TRUNCATED 2u /* length < original_length: cut to the snap length */

#define NETSERV_NO_VLAN 0xffffu

/* One packet of a batch. All integers little-endian. The host fills it; the module writes only the last
 * group. `data` is an address in the module's memory, the first byte of the IPv4 or IPv6 header. */
struct netserv_packet {
  uint32_t data;
  uint32_t length;          /* bytes at data */
  uint32_t capacity;        /* bytes that may be written from data on; >= length */
  uint32_t original_length; /* length on the wire, from the IP header on */
  uint64_t received_ns;     /* monotonic, nanoseconds; the clock of timer/1 now() */
  uint16_t ingress;         /* the node's interface index, cut to 16 bits */
  uint16_t vlan;            /* VLAN id, or NETSERV_NO_VLAN */
  uint32_t flags;
  /* Written by the module: */
  uint32_t new_length; /* starts as length; a module that changes the length writes it, <= capacity */
  uint8_t verdict;     /* starts as NETSERV_PASS */
  uint8_t changed;     /* starts as 0; 1 if any byte or the length changed. Else changes are ignored. */
  uint8_t reserved[2];
  /* Copies that this observer should have had since the last one and did not get, for want of room. Where the
   * kernel lost them before anyone could tell whose they were, every observer of the node is told. */
  uint32_t lost;
  uint8_t reserved2[4];
};

/* An address as the udp/1 block takes and gives it. */
struct netserv_address {
  uint8_t family; /* 4 or 6 */
  uint8_t reserved;
  uint16_t port;     /* host order */
  uint8_t bytes[16]; /* network order; an IPv4 address is in the first four, the rest zero */
};

#if defined(__cplusplus)
static_assert(sizeof(struct netserv_packet) == 48, "ABI");
static_assert(sizeof(struct netserv_address) == 20, "ABI");
#else
_Static_assert(sizeof(struct netserv_packet) == 48, "ABI");
_Static_assert(sizeof(struct netserv_address) == 20, "ABI");
#endif

/* Building blocks: imports, each from the import module "BLOCK/VERSION". A module may import only blocks that
 * its manifest names and the node's policy grants. Functions return a negative errno (Linux numbers) on
 * failure unless said otherwise. Pointers are addresses in the module's memory; one that is out of bounds
 * traps the module. */
#if defined(__wasm__)
#define NETSERV_IMPORT(block, function) __attribute__((import_module(block), import_name(function)))

/* packet/1: sends `length` bytes at `data`, a whole IP packet; checksums are made by the node. It is sent only
 * if its source lies in the publisher's authorised destinations, within the publisher's rate; else counted
 * and dropped later, unseen by the module. Returns 0 or -EAGAIN (no room now). At most NETSERV_SLOT_BYTES. */
NETSERV_IMPORT("packet/1", "emit") int32_t netserv_packet_emit(const void* data, uint32_t length);

/* timer/1: ids 0..63, the module's choice. after_ns from now, then each repeat_ns if that is not 0. Setting
 * one again replaces it. Intervals below 1 ms are taken as 1 ms. */
NETSERV_IMPORT("timer/1", "set") int32_t netserv_timer_set(uint32_t id, uint64_t after_ns, uint64_t repeat_ns);
NETSERV_IMPORT("timer/1", "cancel") int32_t netserv_timer_cancel(uint32_t id);
NETSERV_IMPORT("timer/1", "now") uint64_t netserv_timer_now(void); /* monotonic nanoseconds */

/* log/1: a line for the publisher, at most 1024 bytes, rate-limited by the node. level: 0 debug .. 3 error. */
NETSERV_IMPORT("log/1", "write") void netserv_log_write(uint32_t level, const char* text, uint32_t length);

/* properties/1: copies the value (no NUL) to out, at most capacity bytes; returns its whole length, or
 * -ENOENT. */
NETSERV_IMPORT("properties/1", "get")
int32_t netserv_properties_get(const char* key, uint32_t key_length, char* out, uint32_t capacity);

/* counters/1: named counters that PROBE and metrics show; at most 64 names of 64 bytes a module. */
NETSERV_IMPORT("counters/1", "add") int32_t netserv_counters_add(const char* name, uint32_t length, uint64_t n);

/* udp/1: sockets in the container's own network namespace. open: local port or 0; returns a handle. send and
 * receive never block (-EAGAIN). */
NETSERV_IMPORT("udp/1", "open") int32_t netserv_udp_open(uint32_t family, uint32_t local_port);
NETSERV_IMPORT("udp/1", "send")
int32_t netserv_udp_send(int32_t handle, const struct netserv_address* to, const void* data, uint32_t length);
NETSERV_IMPORT("udp/1", "receive")
int32_t netserv_udp_receive(int32_t handle, struct netserv_address* from, void* out, uint32_t capacity);
NETSERV_IMPORT("udp/1", "close") int32_t netserv_udp_close(int32_t handle);
#endif /* __wasm__ */

/* The manifest: a custom section named "netserv.manifest" that holds one JSON object:
 *   {"name": "NetServ.apps.NetMonitor", "version": "1.0.0", "abi": 1, "kind": ["packet"] or ["server"] or both,
 *    "blocks": ["packet/1", "timer/1"], "observer": false, "memory_pages": 64}
 * observer (optional): the module only watches, and may be given copies. memory_pages (optional): the most
 * 64 KiB pages it will grow to; the node's policy caps it. Size of the section: at most 4096 bytes. */

#endif /* NETSERV_ABI_H */
