#include "fetch/notify_queue.h"

#include <algorithm>

namespace netserv::fetch {

void NotifyQueue::push(std::string event) {
  bool too_long = event.size() > kMaxEventBytes;
  if (!too_long) events_.push_back(std::move(event));
  if (too_long || events_.size() > kMaxEvents) {
    if (!too_long) events_.pop_front();
    ++dropped_;
    ++untold_;
  }
}

std::optional<TimePoint> NotifyQueue::due() const {
  if (empty()) return std::nullopt;
  return next_try_;
}

std::string NotifyQueue::post() const {
  std::string body;
  if (untold_ > 0) body += "{\"event\":\"dropped\",\"count\":" + std::to_string(untold_) + "}\n";
  for (std::size_t i = 0; i < std::min(events_.size(), kMaxPostEvents); ++i) body += events_[i] + "\n";
  return body;
}

void NotifyQueue::posted() {
  events_.erase(events_.begin(), events_.begin() + static_cast<std::ptrdiff_t>(std::min(events_.size(), kMaxPostEvents)));
  untold_ = 0;
  back_off_ = {};
  next_try_ = {};
}

void NotifyQueue::failed(TimePoint now) {
  back_off_ = back_off_ == Duration{} ? kFirstBackOff : std::min(back_off_ * 2, kLastBackOff);
  next_try_ = now + back_off_;
}

}  // namespace netserv::fetch
