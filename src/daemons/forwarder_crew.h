// The forwarder's workers and their threads. Used by the main thread, which is the first worker's too: with one worker
// there is no other thread, and all is done at once.
//
// What is asked of the other workers goes through their inboxes, in order, and what they say comes back by the main
// thread's: on a packet's way they share nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "daemons/forwarder_worker.h"
#include "sys/inbox.h"

namespace netserv::daemons {

// What workers say, on the main thread.
class WorkerEvents {
 public:
  virtual ~WorkerEvents() = default;
  virtual void on_stalled(std::size_t worker, ContainerId id, std::uint32_t in_flight) = 0;
  virtual void on_resumed(std::size_t worker, ContainerId id) = 0;
  virtual void on_corrupted(ContainerId id, std::string_view reason) = 0;
};

struct CrewOptions {
  forward::Limits limits;
  Duration gather{};  // under load, from the end of one batch to the next
  std::vector<unsigned> cores;  // empty, or one for each worker: its thread runs there alone
};

class ForwarderCrew {
 public:
  // A worker for each part of the plane. Signals are to be blocked by now.
  static Result<std::unique_ptr<ForwarderCrew>> start(sys::EventLoop& loop, plane::LivePlane& plane, WorkerEvents& events,
                                                      const CrewOptions& options);
  ~ForwarderCrew();
  ForwarderCrew(const ForwarderCrew&) = delete;
  ForwarderCrew& operator=(const ForwarderCrew&) = delete;

  std::size_t size() const { return members_.size(); }
  ForwarderWorker& first();
  using Each = std::function<void(std::size_t number, ForwarderWorker& worker)>;
  // To each worker by its own thread, to the first one before this returns; `then` here when all have done it. Calls
  // are carried out in their order.
  void on_each(const Each& each, std::function<void()> then);
  // The same without the first one.
  void on_others(const Each& each, std::function<void()> then);
  // The workers let everything in flight pass; their threads end.
  void shut_down();

 private:
  struct Member;
  ForwarderCrew(sys::EventLoop& loop, WorkerEvents& events);

  WorkerEvents& events_;
  sys::Inbox inbox_;  // the main thread's
  std::vector<std::unique_ptr<Member>> members_;
  bool ended_ = false;
};

}  // namespace netserv::daemons
