// The packet memory of the xdp plane: one area, cut into frames, shared by the AF_XDP sockets of all interfaces
// so that a frame received on one is transmitted on another without a copy.
//
// Every frame is in one place at a time: free here, in a socket's rings, or held by the plane. The plane's
// destructor checks that all have come back.
#pragma once

#include <xdp/xsk.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"

namespace netserv::plane {

// An offset into the area; anywhere within a frame names that frame.
using FrameAddress = __u64;

// Where drivers move the bytes (zero-copy) frames are pages. Where the kernel copies them, frames follow one another at
// an odd number of cache lines: at whole pages the first lines of all frames would compete for the same few sets of the
// caches.
enum class FrameLayout : std::uint32_t {
  kPages = 4096,
  kDense = 37 * 64,  // kHeadroom, the Ethernet header, and the longest packet that a module sees
};

struct UmemRings {
  xsk_ring_prod fill{};
  xsk_ring_cons completion{};
};

class Umem {
 public:
  // What the kernel leaves free before a frame's data (XDP_PACKET_HEADROOM); metadata lies at its end.
  static constexpr std::uint32_t kHeadroom = 256;

  static Result<std::unique_ptr<Umem>> create(std::uint32_t frames, FrameLayout layout);
  ~Umem();
  Umem(const Umem&) = delete;
  Umem& operator=(const Umem&) = delete;

  std::span<std::byte> bytes(FrameAddress address, std::uint32_t length) { return {area_ + address, length}; }
  // False if none is free.
  bool take(FrameAddress& frame);
  void give(FrameAddress address) { free_.push_back(address - offset(address)); }
  // Bytes from that address to its frame's end.
  std::uint32_t room(FrameAddress address) const { return frame_bytes() - offset(address); }
  std::size_t free_frames() const { return free_.size(); }
  std::size_t frames() const { return frames_; }

  // All sockets are gone: the kernel's hold on the memory ends, its contents stay.
  void unregister();

  xsk_umem* handle() { return umem_; }
  // The rings that a socket is to be opened with: the first one has those that came with the memory. With others libxdp
  // would unmap these twice if it can't open the socket, and whatever some thread has mapped in between.
  UmemRings& rings(UmemRings& own) { return std::exchange(first_taken_, true) ? own : first_; }

 private:
  explicit Umem(FrameLayout layout) : layout_(layout) {}
  std::uint32_t frame_bytes() const { return static_cast<std::uint32_t>(layout_); }
  // Whole pages, as AF_XDP wants it.
  std::size_t area_bytes(std::uint32_t frames) const {
    return (std::size_t{frames} * frame_bytes() + 4095) / 4096 * 4096;
  }
  // Within its frame. Divisions by constants: one a packet.
  std::uint32_t offset(FrameAddress address) const {
    constexpr auto kPages = static_cast<std::uint32_t>(FrameLayout::kPages);
    constexpr auto kDense = static_cast<std::uint32_t>(FrameLayout::kDense);
    return static_cast<std::uint32_t>(layout_ == FrameLayout::kPages ? address % kPages : address % kDense);
  }

  FrameLayout layout_;
  std::byte* area_ = nullptr;
  std::uint32_t frames_ = 0;
  std::vector<FrameAddress> free_;
  xsk_umem* umem_ = nullptr;
  UmemRings first_;
  bool first_taken_ = false;
};

}  // namespace netserv::plane
