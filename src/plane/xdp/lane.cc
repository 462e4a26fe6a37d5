#include "plane/xdp/lane.h"

#include <algorithm>

namespace netserv::plane {
namespace {

constexpr std::uint32_t place(std::uint32_t ticket) { return ticket & (NSX_LANE - 1); }
constexpr std::uint32_t ready_place(std::uint32_t ticket) { return ticket & (NSX_READY - 1); }

}  // namespace

void Lane::refill(FramePool& frames) {
  std::uint32_t before = free_end_;
  for (FrameAddress frame; free_end_ - taken_ < kAhead && frames.take(frame); ++free_end_)
    lane_.free[place(free_end_)] = frames.number(frame);
  if (free_end_ != before) std::atomic_ref(lane_.free_end).store(free_end_, std::memory_order_release);
}

std::uint32_t Lane::receive(FramePool& frames, std::span<Frame> out) {
  std::uint32_t count = 0;
  for (; count < out.size() && taken_ != free_end_; ++taken_) {
    std::atomic_ref arrived(lane_.arrived[place(taken_)]);
    std::uint32_t length = arrived.load(std::memory_order_acquire);
    if (length == 0) break;
    FrameAddress frame = frames.address(lane_.free[place(taken_)]);
    arrived.store(0, std::memory_order_relaxed);
    if (length == NSX_NOTHING) frames.give(frame);
    else out[count++] = {frame + FramePool::kHeadroom, length};
  }
  return count;
}

bool Lane::arm() {
  std::atomic_ref(lane_.asleep).store(1, std::memory_order_seq_cst);
  // Either the program sees this, or this sees what the program has said before it looked.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return taken_ == free_end_ || std::atomic_ref(lane_.arrived[place(taken_)]).load(std::memory_order_acquire) == 0;
}

bool Lane::put(const FramePool& frames, const Frame& frame) {
  if (ready_end_ - reaped_ == NSX_READY) return false;
  lane_.ready[ready_place(ready_end_)] = {frames.number(frame.address), frame.length, frame.egress, 0};
  std::atomic_ref(lane_.ready_end).store(++ready_end_, std::memory_order_release);
  return true;
}

void Lane::reap(FramePool& frames) {
  for (; reaped_ != ready_end_; ++reaped_) {
    nsx_departure& departure = lane_.ready[ready_place(reaped_)];
    if (std::atomic_ref(departure.gone).load(std::memory_order_acquire) == 0) return;
    frames.give(frames.address(departure.frame));
  }
}

std::vector<Lane::Frame> Lane::take_back(FramePool& frames) {
  std::atomic_ref next(lane_.ready_next);
  std::uint32_t first = next.load(std::memory_order_acquire);
  while (first != ready_end_ && !next.compare_exchange_weak(first, ready_end_)) {
  }
  std::vector<Frame> out;
  for (std::uint32_t ticket = first; ticket != ready_end_; ++ticket) {
    const nsx_departure& departure = lane_.ready[ready_place(ticket)];
    out.push_back({frames.address(departure.frame) + FramePool::kHeadroom, departure.length, departure.egress});
  }
  // What is before them is with the program, which can't be interrupted, for a moment.
  while (reaped_ != first) reap(frames);
  reaped_ = ready_end_;
  return out;
}

void Lane::empty(FramePool& frames) {
  for (; taken_ != free_end_; ++taken_) frames.give(frames.address(lane_.free[place(taken_)]));
  std::ranges::fill(lane_.arrived, 0);
  free_end_ = taken_ = lane_.free_next;
  std::atomic_ref(lane_.free_end).store(free_end_, std::memory_order_release);
}

}  // namespace netserv::plane
