// The packet memory of the xdp plane: one area, cut into frames, shared by the AF_XDP sockets of all of a worker's
// interfaces, so that a frame received on one is transmitted on another without a copy. Dense frames lie in a BPF array,
// for the XDP program to copy to and from (lane.h).
#pragma once

#include <xdp/xsk.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "base/result.h"
#include "plane/xdp/frame_pool.h"
#include "sys/fd.h"

namespace netserv::plane {

struct UmemRings {
  xsk_ring_prod fill{};
  xsk_ring_cons completion{};
};

class Umem : public FramePool {
 public:
  static Result<std::unique_ptr<Umem>> create(std::uint32_t frames, FrameLayout layout);
  ~Umem();
  Umem(const Umem&) = delete;
  Umem& operator=(const Umem&) = delete;

  std::span<std::byte> bytes(FrameAddress address, std::uint32_t length) { return {area_ + address, length}; }
  // The BPF array, a frame an element; -1 where frames are pages.
  int map_fd() const { return map_.get(); }

  // All sockets are gone: the kernel's hold on the memory ends, its contents stay.
  void unregister();

  xsk_umem* handle() { return umem_; }
  // The rings that a socket is to be opened with: the first one has those that came with the memory. With others libxdp
  // would unmap these twice if it can't open the socket, and whatever some thread has mapped in between.
  UmemRings& rings(UmemRings& own) { return std::exchange(first_taken_, true) ? own : first_; }

 private:
  Umem(std::uint32_t frames, FrameLayout layout) : FramePool(frames, layout) {}
  // Whole pages, as AF_XDP wants it.
  std::size_t area_bytes() const { return (std::size_t{frames()} * frame_bytes() + 4095) / 4096 * 4096; }

  sys::UniqueFd map_;
  std::byte* area_ = nullptr;
  xsk_umem* umem_ = nullptr;
  UmemRings first_;
  bool first_taken_ = false;
};

}  // namespace netserv::plane
