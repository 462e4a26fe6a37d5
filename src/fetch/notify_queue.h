// What waits to be posted to one notification URL. Pure: time is an argument.
//
// Events are kept in order. When there are too many the oldest go, and the next post tells how many were lost.
// After a failed post the next try waits kFirstBackOff, doubled up to kLastBackOff.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "base/time.h"

namespace netserv::fetch {

class NotifyQueue {
 public:
  static constexpr std::size_t kMaxEvents = 256;
  static constexpr std::size_t kMaxEventBytes = 4096;
  static constexpr std::size_t kMaxPostEvents = 64;
  static constexpr Duration kFirstBackOff = std::chrono::seconds(1);
  static constexpr Duration kLastBackOff = std::chrono::minutes(5);

  // A line of JSON without its end of line; one over kMaxEventBytes is dropped and counted.
  void push(std::string event);
  // When post() should be asked for; nothing while the queue is empty.
  std::optional<TimePoint> due() const;
  // The body of the next post: JSON lines.
  std::string post() const;
  void posted();
  void failed(TimePoint now);

  bool empty() const { return events_.empty() && untold_ == 0; }
  std::uint64_t dropped() const { return dropped_; }

 private:
  std::deque<std::string> events_;
  std::uint64_t dropped_ = 0, untold_ = 0;
  Duration back_off_{};
  TimePoint next_try_{};
};

}  // namespace netserv::fetch
