// What the node says about itself, as JSON: answers to PROBE and to the admin socket (docs/admin-socket.md).
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "auth/policy.h"
#include "node/actions.h"
#include "node/records.h"
#include "wire/ipc/container_messages.h"
#include "wire/ipc/forwarder_messages.h"

namespace netserv::daemon {

struct Facts {
  const node::State& state;
  const std::map<ContainerId, ipc::ContainerStatus>& containers;
  const ipc::ForwarderStats& forwarder;
  std::uint64_t forwarder_reports;
  node::Now now;
  TimePoint started;
};

std::string rfc3339(WallTime time);
nlohmann::json status_json(const Facts& facts);
// Those that `pick` takes.
nlohmann::json modules_json(const Facts& facts, const std::function<bool(const node::ModuleKey&)>& pick);
// Where a container is on this machine.
struct Place {
  std::string address;
  pid_t pid = 0;
  std::optional<std::uint64_t> memory_bytes;  // charged to its cgroup
};
nlohmann::json containers_json(const Facts& facts, const std::function<Place(ContainerId)>& place);
nlohmann::json event_json(const node::Happened& happened, WallTime when);
// The event's kind in the words of docs/admin-socket.md; empty: not shown.
std::string event_kind(const node::Happened& happened);
nlohmann::json capabilities_json(const node::State& state);
nlohmann::json policy_json(const auth::PublisherPolicy& policy);

}  // namespace netserv::daemon
