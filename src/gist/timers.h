// Deadlines of many owners in one order. At most one deadline for each (owner, kind).
//
// A deadline that moves to later, as with every message of a session, keeps its place in the order until that comes up:
// so it costs one look-up, however many there are.
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
    const auto [it, is_new] = when_.try_emplace(key(id), Deadline{at, at});
    Deadline& deadline = it->second;
    if (!is_new && at >= deadline.queued) {
      deadline.at = at;
      return;
    }
    if (!is_new) order_.erase({deadline.queued, id});
    deadline = {at, at};
    order_.emplace(at, id);
  }
  void cancel(TimerId id) {
    const auto it = when_.find(key(id));
    if (it == when_.end()) return;
    order_.erase({it->second.queued, id});
    when_.erase(it);
  }
  bool running(TimerId id) const { return when_.contains(key(id)); }
  // Not after the first deadline; before it if that has moved.
  std::optional<TimePoint> next() const {
    if (order_.empty()) return std::nullopt;
    return order_.begin()->first;
  }
  // Takes out one timer that is due.
  std::optional<TimerId> pop(TimePoint now) {
    while (!order_.empty() && order_.begin()->first <= now) {
      const TimerId id = order_.begin()->second;
      order_.erase(order_.begin());
      const auto it = when_.find(key(id));
      if (it->second.at <= now) {
        when_.erase(it);
        return id;
      }
      it->second.queued = it->second.at;
      order_.emplace(it->second.at, id);
    }
    return std::nullopt;
  }

 private:
  struct Deadline {
    TimePoint at, queued;
  };
  static std::uint64_t key(TimerId id) { return id.owner << 4 | id.kind; }  // kinds are below 16

  std::set<std::pair<TimePoint, TimerId>> order_;
  std::unordered_map<std::uint64_t, Deadline> when_;
};

}  // namespace netserv::gist
