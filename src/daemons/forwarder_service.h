// The forwarder process: its core between a plane, the containers' rings, and netservd's control socket.
//
// netservd may die and connect again at any time; filters and rings stay in force meanwhile. Only the last
// connection is spoken to. One thread, one event loop.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "forward/forwarder.h"
#include "plane/live_plane.h"
#include "ring/ring_producer.h"
#include "sys/acceptor.h"
#include "sys/event_loop.h"
#include "sys/seqpacket.h"

namespace netserv::daemons {

struct ForwarderOptions {
  std::string socket;
  std::string ring_directory;  // on a tmpfs mounted nosuid,nodev,noexec
  std::string plane_reason;    // why this plane, for people
  forward::Limits limits;
  Duration gather = std::chrono::microseconds(100);  // under load, from the end of one batch to the next
};

class ForwarderService final : private forward::ForwarderEvents {
 public:
  static Result<std::unique_ptr<ForwarderService>> start(sys::EventLoop& loop, plane::LivePlane& plane,
                                                         ForwarderOptions options);
  ~ForwarderService() override;
  // Lets everything in flight pass; the plane delivers nothing more.
  void shut_down();

 private:
  struct Container {
    ring::RingProducer* ring = nullptr;  // owned by the core's port
    sys::EventHandle wake;
  };

  ForwarderService(sys::EventLoop& loop, plane::LivePlane& plane, ForwarderOptions options);
  void accept(sys::UniqueFd fd, const sys::PeerCredentials& peer);
  void on_control();
  void drop_control(std::string_view why);
  void send(const ipc::FromForwarder& message, const std::vector<int>& fds = {});

  void handle(const ipc::ForwarderHello&);
  void handle(const ipc::ConfigureContainer&);
  void handle(const ipc::RemoveContainer&);
  void handle(const ipc::SetFilters&);
  void handle(const ipc::SetDrain&);
  void handle(const ipc::GetForwarderStats&);
  void handle(const ipc::SetReserved&);

  void reserve_addresses();  // the management's and those on the node's interfaces
  Status make_ring(ContainerId id);
  Status update_plane();
  void report_plane(const Status& status);
  void on_plane_readable();
  void listen_to_plane();
  void work();
  bool await_answers();
  bool gather();
  bool shares_core() const;
  void take_copies();
  // Answers, emitted packets, then back to sleep: sets the waiting flags and the stall timer.
  void settle();
  void arm_stall_timer();

  void on_stalled(ContainerId, std::uint32_t in_flight) override;
  void on_resumed(ContainerId) override;
  void on_corrupted(ContainerId, std::string_view reason) override;

  sys::EventLoop& loop_;
  plane::LivePlane& plane_;
  ForwarderOptions options_;
  forward::Forwarder core_;
  std::map<ContainerId, Container> containers_;
  std::map<ContainerId, std::vector<ipc::ModuleFilter>> filters_;
  std::vector<Prefix> management_;
  std::unique_ptr<sys::Acceptor> acceptor_;
  sys::Channel control_;
  sys::EventHandle controlling_, plane_readable_, stall_timer_, alive_timer_, copies_timer_, addresses_timer_;
  Duration copies_interval_ = std::chrono::milliseconds(1);
  TimePoint last_work_{};  // packets or answers came
  std::size_t last_batch_ = 0;
  bool settle_posted_ = false, work_posted_ = false;
  bool patient_ = true;  // containers on this core answered when last waited for
  std::uint64_t copies_lost_ = 0;  // those that observers have been told of
};

}  // namespace netserv::daemons
