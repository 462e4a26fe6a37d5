// Connections to the forwarder and to the containers (wire/ipc). Each says what happens as events of the
// controller; messages that make no sense close the connection.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lxc/container_host.h"
#include "node/actions.h"
#include "node/events.h"
#include "sys/event_loop.h"
#include "sys/seqpacket.h"
#include "wire/ipc/stats_pages.h"

namespace netserv::daemon {

using Emit = std::function<void(node::Event)>;

// Connects, and again every half second after it was lost. Keeps each container's ring descriptors.
class ForwarderLink {
 public:
  // `reserved`: addresses that are no module's business; the forwarder is told at once.
  ForwarderLink(sys::EventLoop& loop, std::string path, std::vector<Prefix> reserved, Emit emit);
  void send(const ipc::ToForwarder& message);
  void reset(const std::string& reason);
  bool up() const { return up_; }
  std::vector<int> ring_of(ContainerId container) const;
  const ipc::ForwarderStats& stats() const { return stats_; }
  std::uint64_t reports() const { return reports_; }  // how often stats() has been renewed

 private:
  void connect();
  void receive();

  sys::EventLoop& loop_;
  std::string path_;
  std::vector<Prefix> reserved_;
  Emit emit_;
  sys::Channel channel_;
  bool up_ = false;
  sys::EventHandle on_readable_, on_retry_;
  std::map<ContainerId, std::vector<sys::UniqueFd>> rings_;
  ipc::StatsPages pages_;
  ipc::ForwarderStats stats_;
  std::uint64_t reports_ = 0;
};

class ContainerLinks {
 public:
  // What is needed to start one that does not run yet.
  using MakeSpec = std::function<Result<lxc::LaunchSpec>(const node::ContainerRecord&)>;
  ContainerLinks(sys::EventLoop& loop, lxc::ContainerHost& host, MakeSpec make_spec,
                 std::function<std::string(ContainerId)> run_folder, std::function<std::string(ContainerId)> name, Emit emit);
  // Events about a container carry the `life` that it was started for; a container has one stop under way at most, and
  // none while it is being started, so that no launcher ends the next one. Adopts one that listens.
  void start(const node::ContainerRecord& container, std::uint64_t life);
  void stop(const node::ContainerRecord& container, std::uint64_t life);
  void send(ContainerId container, const ipc::ToContainer& message, const std::vector<int>& fds);
  void ask_status();
  // Running containers get the network grants that make_spec gives now, where they differ.
  void renew_grants();
  const std::map<ContainerId, ipc::ContainerStatus>& statuses() const { return statuses_; }
  pid_t pid_of(ContainerId container) const;

 private:
  struct Link {
    sys::Channel channel;
    sys::EventHandle on_readable, on_deadline, on_pause_end;
    TimePoint window;     // since when `heard` counts
    unsigned heard = 0;   // messages
    bool welcome = false;
    bool asked = false;  // for its status: it answers when there is something new
    std::uint64_t life = 0;
    pid_t pid = 0;
    node::ContainerRecord record;
    std::optional<lxc::NetworkGrants> grants;  // in force; absent: adopted, not known
    bool renewing = false;
  };
  struct End {
    std::uint64_t life = 0;
    std::string reason;
  };
  bool connect(const node::ContainerRecord& container, std::uint64_t life);
  void started(const node::ContainerRecord& container, std::uint64_t life, const lxc::NetworkGrants& grants,
               const Result<lxc::ContainerStarted>& result);
  void end(ContainerId id, End how);
  void receive(ContainerId id);
  void listen_to(Link& link);
  bool talks_too_much(Link& link);
  void renew_grants(ContainerId id);
  void lost(ContainerId id, const std::string& reason);
  // It does not keep to the protocol: it is ended, so that a new one is started and not this one adopted again.
  void cut_off(ContainerId id, const std::string& reason);

  sys::EventLoop& loop_;
  lxc::ContainerHost& host_;
  MakeSpec make_spec_;
  std::function<std::string(ContainerId)> run_folder_, name_;
  Emit emit_;
  std::map<ContainerId, std::shared_ptr<Link>> links_;
  std::map<ContainerId, ipc::ContainerStatus> statuses_;
  std::set<ContainerId> starting_, stopping_;  // a launcher is at it
  std::map<ContainerId, End> end_once_started_;
};

}  // namespace netserv::daemon
