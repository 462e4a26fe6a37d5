// The XDP program in the kernel: loading, attaching to interfaces, its maps. Everything goes when the object does,
// also by a crash, and the kernel forwards as ever: links and maps belong to this process alone, unless somebody keeps the
// links (kept_links.h).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "plane/xdp/common.h"
#include "plane/xdp/filter_maps.h"

namespace netserv::plane {

enum class XdpMode : std::uint8_t { kNative, kGeneric };
std::string_view to_string(XdpMode mode);

class XdpProgram {
 public:
  static Result<std::unique_ptr<XdpProgram>> load();
  ~XdpProgram();
  XdpProgram(const XdpProgram&) = delete;
  XdpProgram& operator=(const XdpProgram&) = delete;

  // Native if the driver has it, else generic. The error names the interface; another XDP program there is one.
  Result<XdpMode> attach(unsigned ifindex, const std::string& name);
  void detach(unsigned ifindex);
  // The bpf_links of all interfaces that it is attached to.
  std::vector<int> links() const;

  // Receive queue n of the interface is redirected to the AF_XDP socket fds[n].
  Status set_port(unsigned ifindex, std::span<const int> socket_fds);

  // Frames of the interface are the kernel's until set_port().
  void clear_port(unsigned ifindex);
  // The interface's address may have changed.
  Status read_address(unsigned ifindex, const std::string& name);

  // Packets leave from the program itself only by interfaces that take redirects; that changes with what happens at the
  // far end of a veth (RedirectWatch tells).
  Status choose_egress();
  bool leaves_by(unsigned ifindex) const;

  // Adds what is new before it removes what is gone, so a filter in both never misses a packet.
  Status set_filters(std::span<const forward::Wanted> filters);
  // Each worker's, from its own thread. Older than `limit`: the program passes that worker's packets to the kernel.
  void heartbeat(std::uint32_t worker, TimePoint now) {
    state_->beats[worker].ns = static_cast<__u64>(now.time_since_epoch().count());
  }
  // Before any interface is attached.
  void set_workers(std::uint32_t workers) { state_->workers = workers; }
  void set_heartbeat_limit(Duration limit) { state_->heartbeat_limit_ns = static_cast<__u64>(limit.count()); }

  // By the last byte of next hops' MAC addresses: 1 if packets have gone to such a one. The program writes 1, whoever reads it 0.
  std::span<std::uint8_t, 256> next_hops() { return state_->next_hops; }
  // Frames come and go by lanes, not by AF_XDP sockets. Before any interface is attached.
  void use_lanes(bool on) { state_->lanes_used = on; }
  nsx_lane& lane(std::uint32_t worker) { return lanes_[worker]; }
  // The BPF array that the worker's lane copies to and from (Umem::map_fd); -1: none. Waits, some 20 ms, until no run of the
  // program is at an earlier one any more.
  Status set_packet_memory(std::uint32_t worker, int map_fd);
  // The BPF ring buffer by which the worker is woken, where its lane is armed.
  Status set_wake(std::uint32_t worker, int map_fd);

  // Calls `each` for the observers' copies that are there, at most `most`; returns how many. The others stay in the ring buffer.
  std::size_t take_copies(std::size_t most, const std::function<void(const nsx_copy&, std::span<const std::byte>)>& each);

  std::uint64_t copies_lost() const { return __atomic_load_n(&state_->copies_lost, __ATOMIC_RELAXED); }

  std::map<std::string, std::uint64_t> counters() const;

 private:
  XdpProgram() = default;
  struct Impl;
  std::unique_ptr<Impl> impl_;
  nsx_state* state_ = nullptr;  // the `state` map, mapped
  nsx_lane* lanes_ = nullptr;   // and `lanes`
};

}  // namespace netserv::plane
