// Whether frames leave in those that come (lane.h) or by sockets. A socket costs an sk_buff and part of a system call for
// each, but no frame waits for another; so the exchange is for a worker that has much to do. That many frames have come at
// a time shows it; that few have does not show the opposite: receive work that is slow, or kept from the core by that of the
// sockets, brings few under any load.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

namespace netserv::plane {

class WayOut {
 public:
  // Above the one it exchanges; when the average over some eight rounds is below the other it no longer does. Without
  // sockets half of the work or less is left, so the two are further apart than that.
  static constexpr double kBusy = 0.4, kIdle = 0.12;
  // With fewer frames in a round they would wait for others, however long the round was; with so many at once there is much
  // to do.
  static constexpr std::size_t kFew = 32, kMany = 160;

  bool exchanging() const { return exchanging_; }
  // So many have come together.
  void came(std::size_t frames) {
    frames_ += frames;
    if (frames >= kMany) exchange(kBusy);
  }
  // They were worked on for `share` of the time, then frames were let gather. Without frames that was no round.
  void worked(double share) {
    const std::size_t frames = std::exchange(frames_, 0);
    if (frames == 0) return;
    average_ = (7 * average_ + share) / 8;
    if (frames >= kFew && share >= kBusy) exchange(share);
    else if (average_ < kIdle) exchanging_ = false;
  }
  void rest() { exchanging_ = false; }

 private:
  void exchange(double share) {
    exchanging_ = true;
    average_ = std::max(average_, share);
  }

  std::size_t frames_ = 0;  // in this round
  double average_ = 0;
  bool exchanging_ = false;
};

}  // namespace netserv::plane
