// The xdp plane's program (docs/life-of-a-packet.md): decides which frames the forwarder sees.
//
// Filters are looked up once a shape, whatever their number. A match in the path goes to the forwarder's AF_XDP
// socket, with the FIB's answer in the metadata before it. A match by observers alone is copied to a ring
// buffer and forwarded right here. All else, and everything while the forwarder is late, is the kernel's.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "common.h"

#define AF_INET 2
#define AF_INET6 10
#define SIGNALLING_PORT 270 // GIST, RFC 5971
#define EXTENSIONS_MAX 6
#define PROTOCOL_UNREAD 255 // reserved, in no packet

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct nsx_state);
} state SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, NSX_MAX_SHAPES);
  __type(key, __u32);
  __type(value, struct nsx_shape);
} shapes SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, NSX_MAX_FILTERS);
  __type(key, struct nsx_key);
  __type(value, struct nsx_value);
} filters SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, NSX_MAX_SOCKETS);
  __type(key, __u32);
  __type(value, struct nsx_port);
} ports SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, NSX_MAX_SOCKETS);
  __type(key, __u32);
  __type(value, __u32);
} sockets SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
  __uint(max_entries, NSX_MAX_SOCKETS);
  __type(key, __u32);
  __type(value, struct bpf_devmap_val);
} egress SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 8 << 20);
} copies SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, NSX_COUNTERS);
  __type(key, __u32);
  __type(value, __u64);
} counters SEC(".maps");

// Each worker's packet memory, a frame an element (umem.h).
struct packet_memory {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, NSX_FRAME_BYTES);
};
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, NSX_MAX_WORKERS);
  __type(key, __u32);
  __array(values, struct packet_memory);
} memories SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, NSX_MAX_WORKERS);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct nsx_lane);
} lanes SEC(".maps");

struct wake {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
};
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, NSX_MAX_WORKERS);
  __type(key, __u32);
  __array(values, struct wake);
} wakes SEC(".maps");

static __always_inline void count(__u32 which) {
  __u64* value = bpf_map_lookup_elem(&counters, &which);
  if (value) ++*value;
}

// Counts why a frame is the kernel's.
static __always_inline int pass(__u32 why) {
  count(why);
  return XDP_PASS;
}

static __always_inline int drop_closed(void) {
  count(NSX_DROPPED_FAIL_CLOSED);
  return XDP_DROP;
}

// The forwarder can't have it.
static __always_inline int go_without(int closed, __u32 why) { return closed ? drop_closed() : pass(why); }

struct headers {
  __u32 source[4];
  __u32 destination[4];
  __u32 flow; // IPv6: traffic class and flow label, network order
  __u16 port; // destination port, network order; 0 if there is none
  __u16 source_port;
  __u16 total_length;
  __u8 family;
  __u8 protocol;
  __u8 ttl;
  __u8 options;
  __u8 tos;
  __u8 may_be_cut; // IPv4 without "don't fragment"
};

static __always_inline void masked(__u32 out[4], const __u32 in[4], const __u32 mask[4]) {
#pragma unroll
  for (int i = 0; i < 4; i++) out[i] = in[i] & mask[i];
}

struct matching {
  struct headers* packet;
  struct nsx_value found;
};

static long match_shape(__u32 index, void* context) {
  struct matching* m = context;
  struct nsx_shape* shape = bpf_map_lookup_elem(&shapes, &index);
  if (!shape) return 1;
  if (shape->family != m->packet->family || (shape->has_port && m->packet->port == 0)) return 0;
  struct nsx_key key = {.shape = index};
  if (shape->has_protocol) key.protocol = m->packet->protocol;
  if (shape->has_port) key.port = m->packet->port;
  masked(key.source, m->packet->source, shape->source_mask);
  masked(key.destination, m->packet->destination, shape->destination_mask);
  struct nsx_value* value = bpf_map_lookup_elem(&filters, &key);
  if (!value) return 0;
  m->found.in_path |= value->in_path;
  if (value->observed) {
    if (!m->found.observed || value->sample_one_in < m->found.sample_one_in)
      m->found.sample_one_in = value->sample_one_in;
    if (value->snap_length > m->found.snap_length) m->found.snap_length = value->snap_length;
    m->found.observed = 1;
  }
  return 0;
}

static __always_inline void lose_copy(void) {
  __u32 zero = 0;
  struct nsx_state* s = bpf_map_lookup_elem(&state, &zero);
  if (s) __sync_fetch_and_add(&s->copies_lost, 1);
  count(NSX_COPIES_LOST);
}

// `room` is a constant power of two, as bpf_ringbuf_reserve wants it; 1 <= length <= room.
static __always_inline void copy_record(struct xdp_md* ctx, const struct headers* h, __u32 length, __u32 room,
                                        __u32 sampled_one_in) {
  length = ((length - 1) & (room - 1)) + 1;  // changes nothing; tells the verifier the range
  struct nsx_copy* record = bpf_ringbuf_reserve(&copies, sizeof *record + room, 0);
  if (!record) return lose_copy();
  record->received_ns = bpf_ktime_get_ns();
  record->ingress = ctx->ingress_ifindex;
  record->original_length = h->total_length;
  record->length = length;
  record->sampled_one_in = sampled_one_in;
  if (bpf_xdp_load_bytes(ctx, sizeof(struct ethhdr), record + 1, length) != 0) {
    bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
    return lose_copy();
  }
  // The forwarder looks every 1 to 40 ms; a wake-up for each copy would cost more than the copy.
  bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
  count(NSX_COPIES);
}

static __always_inline void copy_to_observers(struct xdp_md* ctx, const struct headers* h,
                                              const struct nsx_value* found) {
  if (found->sample_one_in > 1 && bpf_get_prandom_u32() % found->sample_one_in != 0) return;
  __u32 length = h->total_length;
  if (found->snap_length < length) length = found->snap_length;
  if (length <= NSX_SNAP_SMALL) return copy_record(ctx, h, length, NSX_SNAP_SMALL, found->sample_one_in);
  if (length > NSX_SNAP_MAX) length = NSX_SNAP_MAX;
  copy_record(ctx, h, length, NSX_SNAP_MAX, found->sample_one_in);
}

// The transport header is `at` bytes after the IP header's first.
static __always_inline __u32 read_port(void* l3, void* end, __u32 at, struct headers* h) {
  if (h->protocol != IPPROTO_TCP && h->protocol != IPPROTO_UDP) return 0;
  __u16* port = l3 + at;
  asm volatile("" : "+r"(port));  // the verifier must see the very pointer that was checked used
  if ((void*)(port + 2) > end) return NSX_BYPASS_MALFORMED;
  if (h->total_length >= at + 4) {
    h->source_port = port[0];
    h->port = port[1];
  }
  return 0;
}

// Reads what filters look at. 0, or the counter that says why the frame is the kernel's.
static __always_inline __u32 read_ipv4(void* l3, void* end, struct headers* h) {
  struct iphdr* ip = l3;
  if ((void*)(ip + 1) > end || ip->version != 4 || ip->ihl < 5) return NSX_BYPASS_MALFORMED;
  h->total_length = bpf_ntohs(ip->tot_len);
  __u32 header_length = ip->ihl * 4;
  if (h->total_length < header_length || l3 + h->total_length > end) return NSX_BYPASS_MALFORMED;
  if (ip->frag_off & bpf_htons(0x3fff)) return NSX_BYPASS_FRAGMENT;
  h->family = 4;
  h->source[0] = ip->saddr;
  h->destination[0] = ip->daddr;
  h->protocol = ip->protocol;
  h->ttl = ip->ttl;
  h->tos = ip->tos;
  h->options = ip->ihl > 5;
  h->may_be_cut = !(ip->frag_off & bpf_htons(0x4000));
  return read_port(l3, end, header_length, h);
}

static __always_inline int is_extension(__u8 next) { return next == 0 || next == 43 || next == 60 || next == 51; }

// Walks the extension headers as the forwarder's own parser does. What comes after a longer row of them is not known here:
// filters that ask for no protocol match still, and then the forwarder reads on.
static __always_inline __u32 read_ipv6(void* l3, void* end, struct headers* h) {
  struct ipv6hdr* ip = l3;
  if ((void*)(ip + 1) > end || ip->version != 6) return NSX_BYPASS_MALFORMED;
  __u32 length = sizeof *ip + bpf_ntohs(ip->payload_len);
  if (length > 0xffff || l3 + length > end) return NSX_BYPASS_MALFORMED;
  h->total_length = length;
  h->family = 6;
  h->flow = *(__be32*)ip & bpf_htonl(0x0fffffff);
  __builtin_memcpy(h->source, &ip->saddr, 16);
  __builtin_memcpy(h->destination, &ip->daddr, 16);
  h->ttl = ip->hop_limit;
  __u8 next = ip->nexthdr;
  __u32 at = sizeof *ip;
#pragma unroll
  for (int i = 0; i < EXTENSIONS_MAX; i++) {
    if (!is_extension(next)) break;
    __u8* extension = l3 + at;
    asm volatile("" : "+r"(extension));
    if ((void*)(extension + 8) > end) return NSX_BYPASS_MALFORMED;
    at += next == 51 ? (extension[1] + 2) * 4 : (extension[1] + 1) * 8;
    next = extension[0];
    h->options = 1;
  }
  if (next == 44) return NSX_BYPASS_FRAGMENT;
  if (at > length) return NSX_BYPASS_MALFORMED;
  h->protocol = is_extension(next) ? PROTOCOL_UNREAD : next;
  return read_port(l3, end, at, h);
}

// What Linux does not forward as it does the rest: multicast, broadcast, loopback, unspecified and IPv6 link-local
// addresses. The FIB does not know: to it a default route covers them. No more than that, or whoever sends from another
// address goes around the modules.
static __always_inline int out_of_scope(const struct headers* h) {
  if (h->family == 4) {
    __u32 from = bpf_ntohl(h->source[0]), to = bpf_ntohl(h->destination[0]);
    return to >> 28 == 0xe || from >> 28 == 0xe || to >> 24 == 127 || from >> 24 == 127 || !to || !from || to == 0xffffffff ||
           from == 0xffffffff;
  }
  __u32 from = bpf_ntohl(h->source[0]), to = bpf_ntohl(h->destination[0]);
  if (to >> 24 == 0xff || from >> 24 == 0xff || to >> 22 == 0x3fa || from >> 22 == 0x3fa) return 1;
  if (!(from | h->source[1] | h->source[2]) && bpf_ntohl(h->source[3]) <= 1) return 1;
  return !(to | h->destination[1] | h->destination[2]) && bpf_ntohl(h->destination[3]) <= 1;
}

static __always_inline int same_mac(const void* a, const void* b) {
  const __u16 *x = a, *y = b;
  return x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

// Whose receive queue it is.
static __always_inline __u32 worker_of(const struct nsx_state* s, __u32 queue) {
  return s->workers > 1 ? queue % s->workers : 0;
}

// Signed: another core may have written a heartbeat since the clock was read.
static __always_inline int forwarder_is_late(const struct nsx_state* s, __u32 worker, __u64 now_ns) {
  __u64 beat = *(const volatile __u64*)&s->beats[worker & (NSX_MAX_WORKERS - 1)].ns;
  return (__s64)(now_ns - beat) > (__s64)s->heartbeat_limit_ns;
}

// With all that an `ip rule` may ask about, but a mark (nothing has set one yet) and ports of others than TCP and UDP.
static __always_inline int look_up_route(struct xdp_md* ctx, const struct headers* h, struct nsx_meta* meta) {
  struct bpf_fib_lookup fib = {.ifindex = ctx->ingress_ifindex, .tot_len = h->total_length,
                               .l4_protocol = h->protocol, .sport = h->source_port, .dport = h->port};
  if (h->family == 4) {
    fib.family = AF_INET;
    fib.tos = h->tos;
    fib.ipv4_src = h->source[0];
    fib.ipv4_dst = h->destination[0];
  } else {
    fib.family = AF_INET6;
    fib.flowinfo = h->flow;
    __builtin_memcpy(fib.ipv6_src, h->source, 16);
    __builtin_memcpy(fib.ipv6_dst, h->destination, 16);
  }
  long result = bpf_fib_lookup(ctx, &fib, sizeof fib, 0);
  // With IP options or extension headers the kernel's own forwarding has things to do.
  if (result == BPF_FIB_LKUP_RET_SUCCESS && !h->options) {
    meta->egress = fib.ifindex;
    __builtin_memcpy(meta->destination_mac, fib.dmac, 6);
    __builtin_memcpy(meta->source_mac, fib.smac, 6);
  }
  return result;
}

// What a router does to a packet that only observers wanted: one hop, new addresses, out.
static __always_inline int forward_here(struct xdp_md* ctx, const struct nsx_meta* meta, __u8 family) {
  void* data = (void*)(long)ctx->data;
  void* end = (void*)(long)ctx->data_end;
  struct ethhdr* ethernet = data;
  if ((void*)(ethernet + 1) + sizeof(struct iphdr) > end) return XDP_PASS;
  if (family == 4) {
    struct iphdr* ip = (void*)(ethernet + 1);
    __u32 sum = ip->check + bpf_htons(0x100);
    ip->check = (__u16)(sum + (sum >> 16));
    ip->ttl--;
  } else {
    struct ipv6hdr* ip = (void*)(ethernet + 1);
    if ((void*)(ip + 1) > end) return XDP_PASS;
    ip->hop_limit--;
  }
  __builtin_memcpy(ethernet->h_dest, meta->destination_mac, 6);
  __builtin_memcpy(ethernet->h_source, meta->source_mac, 6);
  count(NSX_FORWARDED);
  return bpf_redirect_map(&egress, meta->egress, 0);
}

#define NOW(field) (*(const volatile __u32*)&(field))

// Copies the frame, and what the forwarder must know of it, into a free frame of packet memory. False if there is none.
static __always_inline int copy_in(struct xdp_md* ctx, struct nsx_lane* lane, void* memory, const struct nsx_meta* meta,
                                   __u64 length) {
  if ((__s32)(NOW(lane->free_end) - NOW(lane->free_next)) <= 0) return 0;
  __u32 ticket = __sync_fetch_and_add(&lane->free_next, 1);
  __u32 place = ticket & (NSX_LANE - 1), arrived = NSX_NOTHING;
  if ((__s32)(NOW(lane->free_end) - ticket) > 0) {  // else other CPUs have taken the last ones meanwhile
    __u8* frame = bpf_map_lookup_elem(memory, &lane->free[place]);
    asm volatile("" : "+r"(length));  // the verifier must see the very register that was checked used
    if (frame && length > 0 && length <= NSX_FRAME_MAX &&
        bpf_xdp_load_bytes(ctx, 0, frame + NSX_FRAME_HEADROOM, length) == 0) {
      __builtin_memcpy(frame + NSX_FRAME_HEADROOM - sizeof *meta, meta, sizeof *meta);
      arrived = (__u32)length;
    }
  }
  __sync_lock_test_and_set(&lane->arrived[place], arrived);  // a barrier on both sides
  return arrived != NSX_NOTHING;
}

// The frame's bytes are in packet memory now: what is ready to leave leaves in it. So neither way needs an sk_buff, nor a
// system call, nor a page.
static __always_inline int take_out(struct xdp_md* ctx, struct nsx_lane* lane, void* memory, __u32 length) {
  __u32 ticket = NOW(lane->ready_next);
  if ((__s32)(NOW(lane->ready_end) - ticket) <= 0) return XDP_DROP;
  struct nsx_departure* departure = &lane->ready[ticket & (NSX_READY - 1)];
  __u32 port = departure->egress;
  __u64 leaves = departure->length;
  __u8* frame = bpf_map_lookup_elem(memory, &departure->frame);
  asm volatile("" : "+r"(leaves));
  if (!frame || leaves < sizeof(struct ethhdr) || leaves > NSX_FRAME_MAX) return XDP_DROP;
  // Not every frame that comes has room for it.
  if (leaves != length && bpf_xdp_adjust_tail(ctx, (int)leaves - (int)length) != 0) return XDP_DROP;
  if (__sync_val_compare_and_swap(&lane->ready_next, ticket, ticket + 1) != ticket) return XDP_DROP;
  long failed = bpf_xdp_store_bytes(ctx, 0, frame + NSX_FRAME_HEADROOM, leaves);
  __sync_lock_test_and_set(&departure->gone, 1);
  if (failed || bpf_redirect_map(&egress, port, XDP_DROP) != XDP_REDIRECT) {
    count(NSX_EXCHANGE_LOST);
    return XDP_DROP;
  }
  count(NSX_EXCHANGED);
  return XDP_REDIRECT;
}

// XDP_PASS: there is no room for it.
static __noinline int exchange(struct xdp_md* ctx, const struct nsx_meta* meta, __u64 length, __u32 worker) {
  struct nsx_lane* lane = bpf_map_lookup_elem(&lanes, &worker);
  void* memory = bpf_map_lookup_elem(&memories, &worker);
  if (!meta || !lane || !memory || !copy_in(ctx, lane, memory, meta, length)) return XDP_PASS;
  if (NOW(lane->asleep) && __sync_val_compare_and_swap(&lane->asleep, 1, 0) == 1) {
    void* wake = bpf_map_lookup_elem(&wakes, &worker);
    if (wake) bpf_ringbuf_output(wake, &worker, sizeof worker, BPF_RB_FORCE_WAKEUP);
  }
  return take_out(ctx, lane, memory, (__u32)length);
}

SEC("xdp")
int netserv_xdp(struct xdp_md* ctx) {
  count(NSX_SEEN);
  void* data = (void*)(long)ctx->data;
  void* end = (void*)(long)ctx->data_end;
  struct ethhdr* ethernet = data;
  if ((void*)(ethernet + 1) > end) return pass(NSX_BYPASS_MALFORMED);

  struct headers h = {};
  __u32 why;
  if (ethernet->h_proto == bpf_htons(ETH_P_IP)) {
    why = read_ipv4(ethernet + 1, end, &h);
  } else if (ethernet->h_proto == bpf_htons(ETH_P_IPV6)) {
    why = read_ipv6(ethernet + 1, end, &h);
  } else if (ethernet->h_proto == bpf_htons(ETH_P_8021Q) || ethernet->h_proto == bpf_htons(ETH_P_8021AD)) {
    why = NSX_BYPASS_VLAN;
  } else {
    why = NSX_UNMATCHED;
  }
  if (why) return pass(why);

  __u32 zero = 0;
  struct nsx_state* forwarder = bpf_map_lookup_elem(&state, &zero);
  if (!forwarder) return pass(NSX_UNMATCHED);
  struct matching m = {.packet = &h};
  bpf_loop(forwarder->shape_count < NSX_MAX_SHAPES ? forwarder->shape_count : NSX_MAX_SHAPES, match_shape, &m, 0);
  if (!m.found.in_path && !m.found.observed) return pass(NSX_UNMATCHED);
  if (out_of_scope(&h)) return pass(NSX_BYPASS_SCOPE);
  if (h.protocol == IPPROTO_UDP && h.port == bpf_htons(SIGNALLING_PORT)) return pass(NSX_BYPASS_SIGNALLING);
  __u32 worker = worker_of(forwarder, ctx->rx_queue_index);
  // Some milliseconds old at most, at a fraction of the other clock's cost.
  int late = forwarder_is_late(forwarder, worker, bpf_ktime_get_coarse_ns());
  int closed = m.found.in_path & NSX_FAIL_CLOSED;
  if (late && !closed) return pass(NSX_BYPASS_HEARTBEAT);
  __u32 ingress = ctx->ingress_ifindex;
  struct nsx_port* port = bpf_map_lookup_elem(&ports, &ingress);
  if (!port && !closed) return pass(NSX_BYPASS_SOCKET);
  if (port && !same_mac(ethernet->h_dest, port->mac)) return pass(NSX_BYPASS_SCOPE);

  struct nsx_meta route = {.magic = NSX_META_MAGIC, .fail_closed = closed != 0, .ingress = ingress};
  long result = look_up_route(ctx, &h, &route);
  if (route.egress && !forwarder->next_hops[route.destination_mac[5]]) forwarder->next_hops[route.destination_mac[5]] = 1;
  if (result == BPF_FIB_LKUP_RET_NOT_FWDED) return pass(NSX_BYPASS_LOCAL);
  // The kernel cuts it into fragments and forwards these.
  int cut = result == BPF_FIB_LKUP_RET_FRAG_NEEDED && h.may_be_cut;
  // The kernel has to tell the sender.
  if (h.ttl <= 1 || (result == BPF_FIB_LKUP_RET_FRAG_NEEDED && !cut)) return pass(NSX_BYPASS_ICMP);
  // With forwarding off the FIB was not even asked whether the packet is for the node itself.
  if (result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH &&
      result != BPF_FIB_LKUP_RET_UNSUPP_LWT && !cut)
    return pass(NSX_BYPASS_ROUTE);

  if (!m.found.in_path) {
    copy_to_observers(ctx, &h, &m.found);
    if (route.egress && bpf_map_lookup_elem(&egress, &route.egress)) return forward_here(ctx, &route, h.family);
    return XDP_PASS;
  }

  // The frame as it came, padding and all, must fit too, and the packet into its egress link: the forwarder makes no fragments.
  long length = (long)ctx->data_end - (long)ctx->data;
  if (cut || h.total_length > NSX_PACKET_MAX || length > NSX_FRAME_MAX)
    return pass(NSX_BYPASS_OVERSIZE);
  if (!port || ctx->rx_queue_index >= port->queues) return go_without(closed, NSX_BYPASS_SOCKET);
  if (late) return drop_closed();
  if (forwarder->lanes_used) {
    int action = exchange(ctx, &route, (__u64)length, worker);
    if (action == XDP_PASS && closed) return drop_closed();
    count(action == XDP_PASS ? NSX_BYPASS_FULL : NSX_REDIRECTED);
    return action;
  }
  if (bpf_xdp_adjust_meta(ctx, -(int)sizeof route) != 0) return go_without(closed, NSX_BYPASS_META);
  struct nsx_meta* meta = (void*)(long)ctx->data_meta;
  if ((void*)(meta + 1) > (void*)(long)ctx->data) return go_without(closed, NSX_BYPASS_META);
  __builtin_memcpy(meta, &route, sizeof route);
  count(NSX_REDIRECTED);
  // No socket there (the forwarder is gone): the kernel forwards.
  return bpf_redirect_map(&sockets, port->first_socket + ctx->rx_queue_index, closed ? XDP_DROP : XDP_PASS);
}

char _license[] SEC("license") = "GPL";
