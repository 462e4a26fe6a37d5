// Sends whole IP packets, source address and all, through marked raw sockets; routed by the kernel. Packets are
// gathered and leave in batches (sendmmsg). One thread; never blocks.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"
#include "netserv/abi.h"
#include "sys/fd.h"

namespace netserv::plane {

class RawSender {
 public:
  // Needs CAP_NET_RAW and CAP_NET_ADMIN (for the mark). Without IPv6 in the kernel only IPv4 is sent.
  static Result<std::unique_ptr<RawSender>> create(std::uint32_t mark);
  // Copies the packet. False if it is no IP packet of at most NETSERV_SLOT_BYTES.
  bool send(ByteSpan packet);
  void flush();
  std::uint64_t sent() const { return sent_; }
  std::uint64_t failed() const { return failed_; }  // no route, too long for the link, full socket buffer

 private:
  static constexpr std::size_t kBatch = 64;
  struct Batch {
    std::size_t count = 0;
    std::array<std::uint32_t, kBatch> lengths;
    std::array<std::array<std::byte, NETSERV_SLOT_BYTES>, kBatch> packets;
  };
  void flush(int fd, Batch& batch, bool v4);
  sys::UniqueFd v4_, v6_;
  Batch batch4_, batch6_;
  std::uint64_t sent_ = 0, failed_ = 0;
};

}  // namespace netserv::plane
