// One worker of the forwarder: a core between its part of the plane and its rings, on an event loop and a thread of its
// own. The first one has the main thread, with ForwarderService.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "forward/forwarder.h"
#include "plane/live_plane.h"
#include "ring/ring_producer.h"
#include "sys/event_loop.h"
#include "wire/ipc/forwarder_messages.h"

namespace netserv::daemons {

class ForwarderWorker final : private forward::ForwarderEvents {
 public:
  // `events` are told on the worker's thread. Starts to take packets as soon as the loop runs.
  ForwarderWorker(sys::EventLoop& loop, plane::PlanePart& part, forward::ForwarderEvents& events,
                  const forward::Limits& limits, Duration gather);
  ~ForwarderWorker() override;

  forward::Forwarder& core() { return core_; }
  void attach(ContainerId id, std::unique_ptr<ring::RingProducer> ring);
  void remove(ContainerId id);
  // Answers, emitted packets, then back to sleep: sets the waiting flags and the stall timer. After every change.
  void settle();
  // Containers that have copies to look at and not that many free places in their rings, now that what they have done is taken.
  std::vector<ContainerId> observers_without_room(std::size_t places);
  // Lets everything in flight pass; the plane delivers nothing more.
  void shut_down();
  // Its share of ForwarderStats.
  ipc::ForwarderStats stats();

 private:
  struct Container {
    ring::RingProducer* ring = nullptr;  // owned by the core's port
    sys::EventHandle wake;
  };
  void on_plane_readable();
  void listen_to_plane();
  void stay_alive();
  void work();
  void post_work();
  void end_wait();
  bool await_answers();
  bool gather();
  bool await_packets();
  bool shares_core() const;
  void arm_stall_timer();

  void on_stalled(ContainerId id, std::uint32_t in_flight) override { events_.on_stalled(id, in_flight); }
  void on_resumed(ContainerId id) override { events_.on_resumed(id); }
  void on_corrupted(ContainerId, std::string_view reason) override;

  sys::EventLoop& loop_;
  plane::PlanePart& part_;
  forward::ForwarderEvents& events_;
  forward::Forwarder core_;
  std::map<ContainerId, Container> containers_;
  int listened_ = -1;  // the descriptor of part_readable_
  sys::EventHandle part_readable_, stall_timer_, rest_timer_, alive_timer_;
  const Duration gather_;  // under load, from the end of one batch to the next
  TimePoint last_work_{};  // packets or answers came
  std::size_t last_batch_ = 0;
  bool settle_posted_ = false, work_posted_ = false;
  TimePoint awake_;  // since packets were last let gather, or waited for
  bool rested_ = false;  // this thread has slept, and nothing has come since
  bool gave_time_ = false;  // to the containers, when this thread last looked who owes answers
  bool patient_ = true;  // containers on this core answered when last waited for
};

}  // namespace netserv::daemons
