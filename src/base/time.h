// Time is an argument: cores take a TimePoint, only src/sys reads a clock.
#pragma once

#include <chrono>
#include <cstdint>

namespace netserv {

using Duration = std::chrono::nanoseconds;

// Monotonic time since an arbitrary start (CLOCK_MONOTONIC). Not comparable across reboots.
struct MonotonicClock {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = Duration;
  using time_point = std::chrono::time_point<MonotonicClock, Duration>;
};
using TimePoint = MonotonicClock::time_point;

// Calendar time, seconds and finer since the Unix epoch: signatures' expiry and whatever is kept on disk.
using WallTime = std::chrono::sys_time<Duration>;

}  // namespace netserv
