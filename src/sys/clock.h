// The only readers of clocks.
#pragma once

#include <ctime>

#include "base/time.h"

namespace netserv::sys {

inline Duration read_clock(clockid_t id) {
  timespec t{};
  ::clock_gettime(id, &t);
  return std::chrono::seconds(t.tv_sec) + Duration(t.tv_nsec);
}
inline TimePoint now() { return TimePoint(read_clock(CLOCK_MONOTONIC)); }
inline WallTime wall_now() { return WallTime(read_clock(CLOCK_REALTIME)); }

}  // namespace netserv::sys
