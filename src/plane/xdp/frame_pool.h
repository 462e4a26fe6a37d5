// The frames of a worker's packet memory by number and address, and which of them are free. Every frame is in one place
// at a time: free here, in a socket's rings or on the lane, or held by the plane.
#pragma once

#include <cstdint>
#include <vector>

#include "plane/xdp/common.h"

namespace netserv::plane {

// An offset into packet memory; anywhere within a frame names that frame.
using FrameAddress = __u64;

// Where drivers move the bytes (zero-copy) frames are pages. Where they are copied, frames follow one another at an odd
// number of cache lines: at whole pages the first lines of all frames would compete for the same few sets of the caches.
enum class FrameLayout : std::uint32_t {
  kPages = 4096,
  kDense = NSX_FRAME_BYTES,  // kHeadroom, the Ethernet header, and the longest packet that a module sees
};

class FramePool {
 public:
  // Before a frame's data (XDP_PACKET_HEADROOM); metadata lies at its end.
  static constexpr std::uint32_t kHeadroom = NSX_FRAME_HEADROOM;

  // All free.
  FramePool(std::uint32_t frames, FrameLayout layout) : layout_(layout), frames_(frames) {
    free_.reserve(frames);
    for (std::uint32_t i = frames; i > 0; --i) free_.push_back(address(i - 1));
  }

  // False if none is free.
  bool take(FrameAddress& frame) {
    if (free_.empty()) return false;
    frame = free_.back();
    free_.pop_back();
    return true;
  }
  void give(FrameAddress address) { free_.push_back(address - offset(address)); }

  FrameAddress address(std::uint32_t number) const { return FrameAddress{number} * frame_bytes(); }
  // Divisions by constants, here and in offset(): one a packet.
  std::uint32_t number(FrameAddress address) const {
    return static_cast<std::uint32_t>(layout_ == FrameLayout::kPages ? address / kPages : address / kDense);
  }
  // Bytes from that address to its frame's end.
  std::uint32_t room(FrameAddress address) const { return frame_bytes() - offset(address); }
  std::size_t free_frames() const { return free_.size(); }
  std::uint32_t frames() const { return frames_; }
  std::uint32_t frame_bytes() const { return static_cast<std::uint32_t>(layout_); }

 private:
  static constexpr auto kPages = static_cast<std::uint32_t>(FrameLayout::kPages);
  static constexpr auto kDense = static_cast<std::uint32_t>(FrameLayout::kDense);
  std::uint32_t offset(FrameAddress address) const {
    return static_cast<std::uint32_t>(layout_ == FrameLayout::kPages ? address % kPages : address % kDense);
  }

  FrameLayout layout_;
  std::uint32_t frames_;
  std::vector<FrameAddress> free_;
};

}  // namespace netserv::plane
