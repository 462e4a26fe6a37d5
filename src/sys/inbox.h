// What other threads ask of the thread of an event loop: functions, run there in the order they were posted. Not for a
// packet path: a post takes a lock and wakes the loop.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include "sys/event_loop.h"
#include "sys/fd.h"

namespace netserv::sys {

class Inbox {
 public:
  // On the loop's thread, or before it runs; destroyed alike. What is still in it then is dropped.
  explicit Inbox(EventLoop& loop);
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  // Any thread.
  void post(std::function<void()> function);

 private:
  void run();

  UniqueFd event_;
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // by the mutex
  EventHandle readable_;
};

}  // namespace netserv::sys
