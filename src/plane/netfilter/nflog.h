// One netfilter log group (NFLOG) over libmnl: observers' copies of packets that the kernel forwards meanwhile. The
// rules say how much of a packet is copied, and how many of them; the kernel gathers copies for 10 ms or up to a number of them.
//
// A copy's prefix is the "one in N" of the rule that made it. Copies are numbered: a gap is a loss.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "plane/live_plane.h"
#include "sys/fd.h"

namespace netserv::plane {

struct LogCounters {
  std::uint64_t copies = 0;
  std::uint64_t lost = 0;  // the kernel had no room for them
  std::uint64_t malformed = 0;
};

class NfLog {
 public:
  // Binds group `number` in this network namespace. The kernel gathers up to `gather` copies into a message.
  static Result<std::unique_ptr<NfLog>> open(std::uint16_t number, std::uint32_t gather);

  // Hands over the copies that are there, at most `most` (`gather` at least); gives how many. Never blocks.
  std::size_t take(std::size_t most, const LivePlane::TakeCopies& take, TimePoint now);
  const LogCounters& counters() const { return counters_; }

 private:
  NfLog() : buffer_(kBufferBytes) { packets_.reserve(kBatch); }
  Status configure(std::uint16_t number);
  void read_copy(const void* message, const LivePlane::TakeCopies& take, TimePoint now);
  void hand_over(const LivePlane::TakeCopies& take);

  static constexpr std::size_t kBatch = 256;
  static constexpr std::size_t kBufferBytes = 160 * 1024;  // more than the kernel gathers into one datagram

  sys::UniqueFd socket_;
  std::uint32_t gather_ = 1;
  std::vector<std::byte> buffer_;
  std::vector<forward::Packet> packets_;  // in buffer_, all sampled alike
  std::uint32_t sampled_ = 1;
  std::uint32_t next_number_ = 0;
  LogCounters counters_;
};

}  // namespace netserv::plane
