// One AF_XDP socket: a receive queue of an interface, and a way to transmit on it.
//
// Frames given to transmit() come back to the Umem by reclaim(); frames from receive() belong to the caller.
#pragma once

#include <xdp/xsk.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "plane/xdp/umem.h"

namespace netserv::plane {

class XskPort {
 public:
  struct Options {
    bool zero_copy = false;   // fails where the driver can't
    bool busy_poll = false;   // SO_PREFER_BUSY_POLL: the forwarder's polls drive NAPI
    std::uint32_t ring_size = 2048;
    std::uint32_t transmit_budget = 512;  // XDP_MAX_TX_SKB_BUDGET, where the kernel has it (its default is 32)
  };

  static Result<std::unique_ptr<XskPort>> open(Umem& umem, const std::string& interface, std::uint32_t queue,
                                               const Options& options);
  ~XskPort();
  XskPort(const XskPort&) = delete;
  XskPort& operator=(const XskPort&) = delete;

  int fd() const { return xsk_socket__fd(socket_); }
  const std::string& interface() const { return interface_; }

  // With busy polling: one turn of the interface's NAPI, here and now, if no one else is at it.
  void drive();
  // Up to out.size() received frames; {addr, len} as in the kernel's descriptors.
  std::uint32_t receive(std::span<xdp_desc> out);
  // Gives the kernel free frames to receive into.
  void refill();
  // Queues frames; those that did not fit (the last ones) stay the caller's. Returns how many were taken.
  std::uint32_t transmit(std::span<const xdp_desc> frames);
  // Tells the kernel about queued frames, if it wants telling: a system call a budget of frames, until it takes none.
  void flush();
  // Returns transmitted frames to the Umem.
  void reclaim();
  // Frames that the socket's rings hold: to be received into, and being transmitted.
  std::uint32_t in_rings() const { return in_fill_ + in_transmit_; }
  // Frames that the kernel has not taken from the transmit ring yet: flush() again later.
  std::uint32_t unsent() const;

  struct Losses {
    std::uint64_t rx_dropped = 0, rx_ring_full = 0, fill_ring_empty = 0, invalid = 0;
  };
  Losses losses() const;  // XDP_STATISTICS

 private:
  XskPort(Umem& umem, std::string interface)
      : umem_(umem), interface_(std::move(interface)), rings_(umem.rings(own_)), fill_(rings_.fill), completion_(rings_.completion) {}
  Umem& umem_;
  std::string interface_;
  xsk_socket* socket_ = nullptr;
  xsk_ring_cons receive_{};
  xsk_ring_prod transmit_{};
  UmemRings own_;
  UmemRings& rings_;
  xsk_ring_prod& fill_;
  xsk_ring_cons& completion_;
  bool busy_poll_ = false;
  std::uint32_t in_fill_ = 0;
  std::uint32_t in_transmit_ = 0;
};

}  // namespace netserv::plane
