// Deadlines of many owners in one order. At most one deadline for each (owner, kind).
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "base/time.h"

namespace netserv::gist {

struct TimerId {
  std::uint64_t owner = 0;
  std::uint8_t kind = 0;
  auto operator<=>(const TimerId&) const = default;
};

class Timers {
 public:
  void set(TimerId id, TimePoint at) {
    cancel(id);
    when_[key(id)] = at;
    order_.emplace(at, id);
  }
  void cancel(TimerId id) {
    const auto it = when_.find(key(id));
    if (it == when_.end()) return;
    order_.erase({it->second, id});
    when_.erase(it);
  }
  bool running(TimerId id) const { return when_.contains(key(id)); }
  std::optional<TimePoint> next() const {
    if (order_.empty()) return std::nullopt;
    return order_.begin()->first;
  }
  // Takes out one timer that is due.
  std::optional<TimerId> pop(TimePoint now) {
    if (order_.empty() || order_.begin()->first > now) return std::nullopt;
    const TimerId id = order_.begin()->second;
    cancel(id);
    return id;
  }

 private:
  static std::uint64_t key(TimerId id) { return id.owner << 4 | id.kind; }  // kinds are below 16

  std::set<std::pair<TimePoint, TimerId>> order_;
  std::unordered_map<std::uint64_t, TimePoint> when_;
};

}  // namespace netserv::gist
