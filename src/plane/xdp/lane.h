// The exchange of frames between the XDP program and a worker's packet memory, where the kernel does not receive into it
// by itself (struct nsx_lane, exchange() in xdp.bpf.c). What comes is copied into a frame laid out for it; what is ready to
// leave leaves in the next frame that comes, whose bytes are in packet memory then. So under load a packet needs no
// sk_buff, no system call and no page on its way through. What no frame comes for is taken back.
//
// Memory alone: the program, at the other end, may be on any CPU. All calls from one thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "plane/xdp/common.h"
#include "plane/xdp/frame_pool.h"

namespace netserv::plane {

class Lane {
 public:
  // Frames laid out for what comes, at most.
  static constexpr std::uint32_t kAhead = 2048;

  // A packet in a frame: from the Ethernet header on.
  struct Frame {
    FrameAddress address = 0;
    std::uint32_t length = 0;
    unsigned egress = 0;  // ifindex; of what leaves
  };

  // `shared` outlives it. A lane that was used before is taken up as it was left by empty().
  explicit Lane(nsx_lane& shared)
      : lane_(shared), free_end_(shared.free_end), taken_(free_end_), ready_end_(shared.ready_end), reaped_(ready_end_) {}

  // Lays out free frames.
  void refill(FramePool& frames);
  // What has come; metadata lies before it. The frames are the caller's.
  std::uint32_t receive(FramePool& frames, std::span<Frame> out);
  // From now on the program wakes the worker, once. False if something has come already.
  bool arm();
  void disarm() { std::atomic_ref(lane_.asleep).store(0, std::memory_order_relaxed); }

  // Lets it leave. False if there is no room: it stays the caller's.
  bool put(const FramePool& frames, const Frame& frame);
  // Frees the frames of what has left.
  void reap(FramePool& frames);
  // What has not left, oldest first, is the caller's again.
  std::vector<Frame> take_back(FramePool& frames);
  // Packets that have not left.
  std::uint32_t ready() const { return ready_end_ - std::atomic_ref(lane_.ready_next).load(std::memory_order_acquire); }

  // Frees the frames that are laid out. The program uses the lane no more, what has come is received, nothing is ready.
  void empty(FramePool& frames);
  // Frames that are here.
  std::uint32_t frames() const { return (free_end_ - taken_) + (ready_end_ - reaped_); }

 private:
  nsx_lane& lane_;
  // Tickets, as in nsx_lane.
  std::uint32_t free_end_, taken_;
  std::uint32_t ready_end_, reaped_;
};

}  // namespace netserv::plane
