// Token bucket (RFC 5971, 5.3.3). Starts full.
#pragma once

#include <algorithm>

#include "base/time.h"

namespace netserv::gist {

class TokenBucket {
 public:
  TokenBucket(double per_second, double burst) : rate_(per_second), burst_(burst), tokens_(burst) {}

  // Takes one token if there is one.
  bool take(TimePoint now) {
    refill(now);
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }
  // When take() will succeed, if nobody else takes.
  TimePoint ready(TimePoint now) {
    refill(now);
    if (tokens_ >= 1) return now;
    return now + Duration(static_cast<Duration::rep>((1 - tokens_) / rate_ * 1e9) + 1);
  }

 private:
  void refill(TimePoint now) {
    if (!started_) last_ = now, started_ = true;
    if (now <= last_) return;
    tokens_ = std::min(burst_, tokens_ + rate_ * std::chrono::duration<double>(now - last_).count());
    last_ = now;
  }

  double rate_, burst_, tokens_;
  TimePoint last_{};
  bool started_ = false;
};

}  // namespace netserv::gist
