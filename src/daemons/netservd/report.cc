#include "daemons/netservd/report.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace netserv::daemon {

using nlohmann::json;
using node::Happened;
using node::ModuleState;

namespace {

std::int64_t seconds(Duration d) { return std::chrono::duration_cast<std::chrono::seconds>(d).count(); }

const ipc::ModuleStatus* find_status(const Facts& facts, const node::Module& m) {
  auto it = facts.containers.find(m.record.container);
  if (it == facts.containers.end()) return nullptr;
  for (const ipc::ModuleStatus& s : it->second.modules)
    if (s.module == m.record.key.module) return &s;
  return nullptr;
}

std::uint64_t counter(const Facts& facts, ContainerId id, const char* prefix) {
  std::uint64_t sum = 0;
  for (const ipc::ContainerCounters& c : facts.forwarder.containers)
    if (c.container == id)
      for (const auto& [name, value] : c.counters)
        if (name.rfind(prefix, 0) == 0) sum += value;
  return sum;
}

}  // namespace

std::string rfc3339(WallTime time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count()));
}

json status_json(const Facts& f) {
  json problems = json::array();
  if (!f.state.forwarder_up) problems.push_back("no forwarder: packets pass by all modules");
  for (const auto& [id, c] : f.state.containers)
    if (c.phase == node::Container::Phase::kDown && c.failures > 0)
      problems.push_back(fmt::format("container {} of {} died {} times, waiting to start it again", id.value(), c.record.publisher.value(), c.failures));
  return json{{"node", f.state.settings.node_address},
              {"address", f.state.settings.node_address},
              {"version", NETSERV_VERSION},
              {"state", f.state.switches.draining ? "draining" : "running"},
              {"uptime_s", seconds(f.now.monotonic - f.started)},
              {"forwarder", f.state.forwarder_up ? "connected" : "absent"},
              {"plane", f.state.plane},
              {"plane_detail", f.state.plane_detail},
              {"plane_reason", f.state.plane_reason},
              {"workers", f.state.workers},
              {"modules", f.state.modules.size()},
              {"containers", f.state.containers.size()},
              {"publishers", f.state.settings.publishers.size()},
              {"problems", problems},
              {"counters", f.forwarder.node},
              {"counters_report", f.forwarder_reports}};
}

json modules_json(const Facts& f, const std::function<bool(const node::ModuleKey&)>& pick) {
  json list = json::array();
  for (const auto& [key, m] : f.state.modules) {
    if (!pick(key)) continue;
    json j{{"publisher", key.publisher.value()},
           {"id", key.module.value()},
           {"state", std::string(to_string(m.state))},
           {"ttl_s", std::max<std::int64_t>(0, seconds(m.record.expires - f.now.wall))},
           {"installed", rfc3339(m.record.accepted)},
           {"filters", m.record.spec.filters.size()},
           {"traps", m.traps},
           {"restarts", m.restarts}};
    if (m.state == ModuleState::kInstalling)
      j["progress"] = m.work == node::Module::Work::kFetching ? "fetching" : m.work == node::Module::Work::kCompiling ? "compiling" : "waiting";
    if (m.record.failure) {
      j["reason"] = m.record.failure->subject + ": " + m.record.failure->text;
      j["code"] = m.record.failure->code;
    }
    if (m.backing_off) j["reason"] = "trapped; waiting to start again";
    if (const ipc::ModuleStatus* s = find_status(f, m)) {
      j["packets"] = s->packets;
      j["bytes"] = s->bytes;
      j["passed"] = s->passed;
      j["dropped"] = s->dropped;
      j["replied"] = s->replied;
      j["stolen"] = s->stolen;
      j["emitted"] = s->emitted;
      j["cpu_ns"] = s->cpu_ns;
      j["counters"] = s->counters;
    }
    list.push_back(std::move(j));
  }
  return json{{"modules", list}};
}

json containers_json(const Facts& f, const std::function<Place(ContainerId)>& place) {
  static constexpr const char* kPhases[] = {"down", "starting", "up", "stopping"};
  json list = json::array();
  for (const auto& [id, c] : f.state.containers) {
    json modules = json::array();
    for (const auto& [key, m] : f.state.modules)
      if (m.record.container == id) modules.push_back(key.module.value());
    json j{{"container", id.value()},
           {"publisher", c.record.publisher.value()},
           {"runtime", c.record.runtime},
           {"state", kPhases[static_cast<int>(c.phase)]},
           {"modules", modules},
           {"restarts", c.failures},
           {"filters", c.filters_in_force.size()},
           {"bypassed", counter(f, id, "bypass")},
           {"lost", counter(f, id, "lost")}};
    const Place at = place(id);
    j["address"] = at.address;
    if (at.pid != 0) j["pid"] = at.pid;
    if (at.memory_bytes) j["memory_bytes"] = *at.memory_bytes;
    list.push_back(std::move(j));
  }
  return json{{"containers", list}};
}

std::string event_kind(const Happened& h) {
  using W = Happened::What;
  switch (h.what) {
    case W::kAccepted: return "accepted";
    case W::kRefreshed: return "refreshed";
    case W::kRefused: return "refused";
    case W::kFetching: return "fetching";
    case W::kCompiling: return "compiling";
    case W::kStateChanged:
      if (h.to == ModuleState::kActive) return "active";
      return h.to == ModuleState::kInstalled ? "installed" : "state";
    case W::kFailed: return "failed";
    case W::kExpired: return "expired";
    case W::kRemoved: case W::kReplaced: return "removed";
    case W::kTrapped: return "trapped";
    case W::kRestarted: return "restarted";
    case W::kFiltersRefused: return "filters-refused";
    case W::kContainerStarting: return "container-starting";
    case W::kContainerUp: return h.text.empty() ? "container-started" : "container-adopted";
    case W::kContainerStopped: return "container-stopped";
    case W::kContainerLost: return "container-lost";
    case W::kContainerStalled: return "container-stalled";
    case W::kContainerResumed: return "container-resumed";
    case W::kForwarderUp: return "forwarder-connected";
    case W::kForwarderLost: return "forwarder-lost";
    case W::kPlaneProblem: return "plane-problem";
    case W::kDraining: return h.text == "on" ? "drained" : "undrained";
    case W::kPublisherDisabled: return h.text;
    case W::kReloaded: return "reloaded";
  }
  return "?";
}

json event_json(const Happened& h, WallTime when) {
  json j{{"time", rfc3339(when)}, {"kind", event_kind(h)}, {"text", sentence(h)}};
  if (!h.key.publisher.value().empty()) j["publisher"] = h.key.publisher.value();
  if (!h.key.module.value().empty()) j["module"] = h.key.module.value();
  if (h.container.value() != 0) j["container"] = h.container.value();
  if (h.what == Happened::What::kStateChanged) j["state"] = std::string(to_string(h.to));
  if (h.code != 0) j["code"] = h.code;
  return j;
}

json capabilities_json(const node::State& s) {
  return json{{"blocks", s.settings.blocks}, {"runtimes", {"wasm"}}, {"abi", 1}, {"plane", s.plane}};
}

json policy_json(const auth::PublisherPolicy& p) {
  json prefixes = json::array(), ports = json::array(), listen = json::array();
  for (const Prefix& prefix : p.prefixes) prefixes.push_back(prefix.to_string());
  for (const auto& r : p.filter_ports) ports.push_back(fmt::format("{}-{}", r.first, r.last));
  for (const auto& r : p.listen_ports) listen.push_back(fmt::format("{}-{}", r.first, r.last));
  json j{{"destinations", prefixes},       {"filter_ports", ports},   {"listen_ports", listen},
         {"modules", p.limits.modules},    {"max_ttl_s", p.max_ttl.count()}, {"fail_closed", p.fail_closed},
         {"memory_bytes", p.limits.memory_bytes}, {"cpu_percent", p.limits.cpu_percent}, {"emit_pps", p.limits.emit_pps},
         {"bandwidth_bps", p.limits.bandwidth_bps},
         {"module_bytes", p.limits.module_bytes}, {"priority", p.priority}};
  if (p.blocks) j["blocks"] = *p.blocks;
  return j;
}

}  // namespace netserv::daemon
