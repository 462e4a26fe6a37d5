// A process beside the forwarder that frees the netfilter queue when the forwarder has come to a stop (SIGSTOP, a
// debugger, a frozen machine's first moments): the kernel would hold up to a whole queue of packets for it. Waiting
// packets are accepted, later ones pass the full queue by (fail-open), until the forwarder takes it back.
//
// The two share a page of memory and the netlink socket. It ends with the forwarder.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/result.h"
#include "base/time.h"

namespace netserv::plane {

class QueueWatchdog {
 public:
  // Forks. `socket` is the one that queue `number` is bound to.
  static Result<std::unique_ptr<QueueWatchdog>> start(int socket, std::uint16_t number, Duration limit);
  ~QueueWatchdog();
  QueueWatchdog(const QueueWatchdog&) = delete;
  QueueWatchdog& operator=(const QueueWatchdog&) = delete;

  void beat(TimePoint now) {
    shared_->beat_ns.store(static_cast<std::uint64_t>(now.time_since_epoch().count()), std::memory_order_relaxed);
  }
  // It has freed the queue, and is done with the socket until rearm().
  bool fired() const { return shared_->state.load(std::memory_order_acquire) == State::kFired; }
  void rearm() { shared_->state.store(State::kArmed, std::memory_order_release); }

 private:
  enum class State : std::uint32_t { kArmed, kFiring, kFired };
  struct Shared {
    std::atomic<std::uint64_t> beat_ns;
    std::atomic<State> state;
  };
  QueueWatchdog() = default;
  [[noreturn]] static void watch(Shared& shared, int socket, std::uint16_t number, Duration limit);

  Shared* shared_ = nullptr;
  pid_t child_ = -1;
};

}  // namespace netserv::plane
