// The forwarder process: netservd's control socket, and the workers that it is about. Each worker has a core between its
// part of the plane and a ring of every container's; what netservd says is said to all of them, and what they count is
// added up.
//
// netservd may die and connect again at any time; filters and rings stay in force meanwhile. Only the last
// connection is spoken to. The main thread; what happens on the others is in forwarder_crew.h.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "daemons/forwarder_crew.h"
#include "plane/live_plane.h"
#include "sys/acceptor.h"
#include "sys/event_loop.h"
#include "sys/seqpacket.h"

namespace netserv::daemons {

struct ForwarderOptions {
  std::string socket;
  std::string ring_directory;  // on a tmpfs mounted nosuid,nodev,noexec
  std::string plane_reason;    // why this plane, for people
  CrewOptions crew;
};

class ForwarderService final : private WorkerEvents {
 public:
  static Result<std::unique_ptr<ForwarderService>> start(sys::EventLoop& loop, plane::LivePlane& plane,
                                                         ForwarderOptions options);
  ~ForwarderService() override;
  // Lets everything in flight pass; the plane delivers nothing more. The loop has ended.
  void shut_down();

 private:
  struct Container {
    std::shared_ptr<forward::Allowance> allowance;
    std::vector<ipc::ModuleFilter> filters;  // in force
    bool has_rings = false;
    bool corrupted = false;              // some worker has cut it off
    std::set<std::size_t> stalled_at;    // workers
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
  Status make_rings(ContainerId id);
  Status update_plane();
  void report_plane(const Status& status);
  ipc::ForwarderStats sum(std::vector<ipc::ForwarderStats> shares);
  void look_around();
  void take_copies();

  void on_stalled(std::size_t worker, ContainerId, std::uint32_t in_flight) override;
  void on_resumed(std::size_t worker, ContainerId) override;
  void on_corrupted(ContainerId, std::string_view reason) override;

  sys::EventLoop& loop_;
  plane::LivePlane& plane_;
  ForwarderOptions options_;
  std::map<ContainerId, Container> containers_;
  std::vector<Prefix> management_, reserved_;
  std::unique_ptr<sys::Acceptor> acceptor_;
  sys::Channel control_;
  sys::EventHandle controlling_, look_around_timer_, copies_timer_, addresses_timer_;
  Duration copies_interval_ = std::chrono::milliseconds(1);
  TimePoint copies_given_{};
  std::size_t observers_ = 0;  // modules of one container, at most; 0: nobody observes
  ipc::ForwarderStats stats_;      // as netservd asked last
  std::uint64_t copies_lost_ = 0;  // those that observers have been told of
  std::unique_ptr<ForwarderCrew> crew_;  // its threads end before the rest goes
};

}  // namespace netserv::daemons
