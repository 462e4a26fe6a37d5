// Live-frame generator and sink. The generator runs under BPF_PROG_TEST_RUN: the kernel hands it one recycled frame
// after another, it writes the whole frame anew, waits until that frame is due, and redirects it out.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "load.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct load_plan);
} plan SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct load_sink);
} received SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, LOAD_LATENCY_BUCKETS);
  __type(key, __u32);
  __type(value, __u64);
} latencies SEC(".maps");

const volatile __u16 sink_port = 0; // network order; 0: any

static __u64 letters_of(__u32 time) {
  __u64 x = time;
  x = (x | x << 16) & 0x0000ffff0000ffff;
  x = (x | x << 8) & 0x00ff00ff00ff00ff;
  x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
  return x + 0x4141414141414141;
}

static __u32 time_of(__u64 letters) {
  __u64 x = (letters - 0x4141414141414141) & 0x0f0f0f0f0f0f0f0f;
  x = (x | x >> 4) & 0x00ff00ff00ff00ff;
  x = (x | x >> 8) & 0x0000ffff0000ffff;
  return x | x >> 16;
}

static long wait_once(__u32 index, void* context) { return bpf_ktime_get_ns() >= *(__u64*)context; }

SEC("xdp")
int load_generate(struct xdp_md* ctx) {
  __u32 zero = 0;
  struct load_plan* p = bpf_map_lookup_elem(&plan, &zero);
  if (!p) return XDP_ABORTED;
  __u64 now = bpf_ktime_get_ns();
  if (p->sent == 0) p->start_ns = p->first_ns = now;
  __u64 due = p->start_ns + p->sent * p->interval_ps / 1000;
  if (now < due) bpf_loop(1 << 22, wait_once, &due, 0);
  // Behind by more than a millisecond: the rate asked for can't be had; don't make it up in a burst.
  else if (p->interval_ps && now - due > 1000000) p->start_ns += now - due;

  __u32 length = p->length;
  if (length < 60 || length > LOAD_FRAME_MAX) return XDP_ABORTED;
  if (bpf_xdp_store_bytes(ctx, 0, p->frame, length) != 0) return XDP_ABORTED;
  if (p->source_port_offset && p->flows > 1) {
    __u16 port = bpf_htons(20000 + p->sent % p->flows);
    bpf_xdp_store_bytes(ctx, p->source_port_offset, &port, sizeof port);
  }
  if (p->source_port_offset && p->ports > 1) {
    __u16 port = bpf_htons(p->first_port + p->sent % p->ports);
    bpf_xdp_store_bytes(ctx, p->source_port_offset + 2, &port, sizeof port);
  }
  p->last_ns = bpf_ktime_get_ns();
  __u64 stamp = letters_of(p->last_ns);
  bpf_xdp_store_bytes(ctx, length - LOAD_STAMP_FROM_END, &stamp, sizeof stamp);
  p->sent++;
  return bpf_redirect(p->egress, 0);
}

SEC("xdp")
int load_sink(struct xdp_md* ctx) {
  void* data = (void*)(long)ctx->data;
  void* end = (void*)(long)ctx->data_end;
  struct ethhdr* ethernet = data;
  struct udphdr* udp;
  if ((void*)(ethernet + 1) > end) return XDP_PASS;
  if (ethernet->h_proto == bpf_htons(ETH_P_IP)) {
    struct iphdr* ip = (void*)(ethernet + 1);
    if ((void*)(ip + 1) > end || ip->protocol != IPPROTO_UDP || ip->ihl != 5) return XDP_PASS;
    udp = (void*)(ip + 1);
  } else if (ethernet->h_proto == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr* ip = (void*)(ethernet + 1);
    if ((void*)(ip + 1) > end || ip->nexthdr != IPPROTO_UDP) return XDP_PASS;
    udp = (void*)(ip + 1);
  } else {
    return XDP_PASS;
  }
  if ((void*)(udp + 1) > end || (sink_port && udp->dest != sink_port)) return XDP_PASS;
  __u32 zero = 0;
  struct load_sink* r = bpf_map_lookup_elem(&received, &zero);
  if (!r) return XDP_DROP;
  __u64 length = end - data;
  r->received++;
  r->bytes += length;
  __u64 stamp = 0;
  if (bpf_xdp_load_bytes(ctx, length - LOAD_STAMP_FROM_END, &stamp, sizeof stamp) == 0) {
    __u32 bucket = ((__u32)bpf_ktime_get_ns() - time_of(stamp)) / LOAD_BUCKET_NS;
    __u32 index = bucket < LOAD_LATENCY_BUCKETS ? bucket : LOAD_LATENCY_BUCKETS - 1;
    __u64* value = bpf_map_lookup_elem(&latencies, &index);
    if (value) ++*value;
  }
  return XDP_DROP;
}

SEC("xdp")
int load_pass(struct xdp_md* ctx) { return XDP_PASS; }

// The limit: what this kernel forwards if nothing but XDP looks at the packet. IPv4 only.
SEC("xdp")
int load_route(struct xdp_md* ctx) {
  void* data = (void*)(long)ctx->data;
  void* end = (void*)(long)ctx->data_end;
  struct ethhdr* ethernet = data;
  struct iphdr* ip = (void*)(ethernet + 1);
  if ((void*)(ip + 1) > end || ethernet->h_proto != bpf_htons(ETH_P_IP) || ip->ttl <= 1) return XDP_PASS;
  struct bpf_fib_lookup fib = {.family = 2, .ifindex = ctx->ingress_ifindex, .tos = ip->tos,
                               .l4_protocol = ip->protocol, .tot_len = bpf_ntohs(ip->tot_len),
                               .ipv4_src = ip->saddr, .ipv4_dst = ip->daddr};
  if (bpf_fib_lookup(ctx, &fib, sizeof fib, 0) != BPF_FIB_LKUP_RET_SUCCESS) return XDP_PASS;
  __u32 sum = ip->check + bpf_htons(0x100);
  ip->check = (__u16)(sum + (sum >> 16));
  ip->ttl--;
  __builtin_memcpy(ethernet->h_dest, fib.dmac, 6);
  __builtin_memcpy(ethernet->h_source, fib.smac, 6);
  return bpf_redirect(fib.ifindex, 0);
}

char _license[] SEC("license") = "GPL";
