// How much a container may send, whichever of the forwarder's workers it sends by.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>

#include "base/time.h"
#include "forward/container_port.h"

namespace netserv::forward {

enum class Takers : bool { kOneThread, kSeveral };

// `rate` a second on average, a tenth of a second's worth (at least `least_burst`) at once; 0: none ever. Packets or
// bytes: the caller's choice. What is taken at once must be no more than the least burst, or it may never be given.
//
// What it keeps is one number, the time since which it has been filling: several threads take from it without a lock,
// and never more together than one alone could.
class TokenBucket {
 public:
  explicit TokenBucket(std::uint32_t least_burst = 32, Takers takers = Takers::kOneThread)
      : least_burst_(least_burst), takers_(takers) {}
  void set_rate(std::uint64_t per_second) {
    double token = per_second == 0 ? 0 : kSecond / static_cast<double>(per_second);
    double burst = std::max<double>(least_burst_, static_cast<double>(per_second) / 10);
    burst_.store(ticks(burst * token), std::memory_order_relaxed);
    token_.store(token, std::memory_order_relaxed);
  }
  bool take(TimePoint now, std::uint32_t n = 1) {
    const double token = token_.load(std::memory_order_relaxed);
    if (token == 0) return false;
    const std::int64_t at = now.time_since_epoch().count() * kTicksPerNanosecond;
    const std::int64_t cost = ticks(n * token), burst = burst_.load(std::memory_order_relaxed);
    std::int64_t since = filling_since_.load(std::memory_order_relaxed);
    for (;;) {
      std::int64_t then = std::max(since, at - burst) + cost;
      if (then > at) return false;
      if (takers_ == Takers::kOneThread) {
        filling_since_.store(then, std::memory_order_relaxed);
        return true;
      }
      if (filling_since_.compare_exchange_weak(since, then, std::memory_order_relaxed)) return true;
    }
  }

 private:
  static constexpr std::int64_t kTicksPerNanosecond = 16;  // a byte at many gigabytes a second is less than a nanosecond
  static constexpr double kSecond = 1e9 * kTicksPerNanosecond;
  static std::int64_t ticks(double time) { return static_cast<std::int64_t>(std::ceil(time)); }

  const std::uint32_t least_burst_;
  const Takers takers_;
  std::atomic<double> token_{0};  // the time that one takes to come, in ticks
  std::atomic<std::int64_t> burst_{0};
  std::atomic<std::int64_t> filling_since_{std::numeric_limits<std::int64_t>::min() / 2};
};

struct Allowance {
  explicit Allowance(Takers takers) : packets(32, takers), bytes(kPortSlotBytes, takers) {}
  TokenBucket packets;  // that it sends
  TokenBucket bytes;    // theirs, and what its changes add
};

}  // namespace netserv::forward
