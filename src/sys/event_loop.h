// A thread's event loop, over sd-event. One a thread, used by that thread alone; inbox.h is the way in from others.
// Each source lives as long as the returned handle; dropping it inside its own callback is allowed. Callbacks must not
// throw.
#pragma once

#include <sys/epoll.h>
#include <sys/types.h>

#include <functional>
#include <memory>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace netserv::sys {

class EventSource {
 public:
  virtual ~EventSource() = default;
};
using EventHandle = std::unique_ptr<EventSource>;

class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs until stop(). Returns the code given to stop().
  int run();
  void stop(int code = 0);

  // Level-triggered. `events` as for epoll; the callback gets those that are ready. Does not own fd.
  EventHandle on_io(int fd, std::uint32_t events, std::function<void(std::uint32_t ready)> callback);
  // Once, at or soon after `when` (past times: at once). A periodic one sets itself again.
  EventHandle at(TimePoint when, std::function<void()> callback);
  EventHandle after(Duration delay, std::function<void()> callback);
  EventHandle every(Duration interval, std::function<void()> callback);
  // Blocks the signal in the calling thread and delivers it here.
  EventHandle on_signal(int signal_number, std::function<void()> callback);
  // Once, when the child `pid` has ended; status as from waitpid. The child is reaped.
  EventHandle on_child_exit(pid_t pid, std::function<void(int status)> callback);
  // After the current callback has returned.
  void post(std::function<void()> callback);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace netserv::sys
