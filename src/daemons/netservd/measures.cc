#include "daemons/netservd/measures.h"

#include <limits>

namespace netserv::daemon {

using metrics::Family;
using metrics::Sample;
using Type = metrics::Family::Type;
using What = node::Happened::What;

void Measures::on_happened(const node::Happened& h) {
  ++events_[event_kind(h)];
  if (h.what == What::kRefused) ++installs_["refused"];
  if (h.what == What::kFailed) ++installs_["failed"];
  if (h.what != What::kStateChanged || h.to != node::ModuleState::kActive || !h.first) return;
  ++installs_["active"];
  double seconds = std::chrono::duration<double>(h.took).count();
  std::size_t bucket = 0;
  while (bucket < kBounds.size() && seconds > kBounds[bucket]) ++bucket;
  ++durations_[bucket];
  duration_sum_ += seconds;
}

std::vector<Family> Measures::families(const Facts& f, std::uint64_t notified, std::uint64_t notifications_dropped) const {
  std::vector<Family> out;
  auto family = [&](const char* name, const char* help, Type type) -> Family& {
    return out.emplace_back(Family{name, help, type, {}});
  };
  auto one = [&](const char* name, const char* help, Type type, double value) { family(name, help, type).samples.push_back({{}, value, {}}); };
  one("netserv_draining", "1 while the operator drains the node", Type::kGauge, f.state.switches.draining);
  one("netserv_forwarder_connected", "1 while the forwarder is connected", Type::kGauge, f.state.forwarder_up);
  one("netserv_containers", "Service containers", Type::kGauge, static_cast<double>(f.state.containers.size()));
  one("netserv_notifications_sent_total", "Life-cycle events posted to publishers", Type::kCounter, static_cast<double>(notified));
  one("netserv_notifications_dropped_total", "Life-cycle events given up", Type::kCounter, static_cast<double>(notifications_dropped));

  std::map<std::string, int> states;
  for (const auto& [key, m] : f.state.modules) ++states[std::string(to_string(m.state))];
  Family& modules = family("netserv_modules", "Modules by state", Type::kGauge);
  for (const auto& [state, count] : states) modules.samples.push_back({{{"state", state}}, static_cast<double>(count), {}});
  Family& events = family("netserv_events_total", "Events by kind", Type::kCounter);
  for (const auto& [kind, count] : events_) events.samples.push_back({{{"kind", kind}}, static_cast<double>(count), {}});
  Family& installs = family("netserv_installs_total", "SETUPs by outcome", Type::kCounter);
  for (const auto& [outcome, count] : installs_) installs.samples.push_back({{{"outcome", outcome}}, static_cast<double>(count), {}});
  Sample durations{{}, duration_sum_, {}};
  std::uint64_t cumulative = 0;
  for (std::size_t n = 0; n < durations_.size(); ++n) {
    cumulative += durations_[n];
    durations.buckets.emplace_back(n < kBounds.size() ? kBounds[n] : std::numeric_limits<double>::infinity(), cumulative);
  }
  family("netserv_install_seconds", "From acceptance to ACTIVE", Type::kHistogram).samples.push_back(durations);

  // The forwarder's own names become a label: each is one reason or fate of packets.
  Family& node = family("netserv_forwarder_total", "Forwarder, whole node, by counter", Type::kCounter);
  for (const auto& [name, value] : f.forwarder.node) node.samples.push_back({{{"counter", name}}, static_cast<double>(value), {}});
  Family& containers = family("netserv_forwarder_container_total", "Forwarder, per container, by counter", Type::kCounter);
  for (const ipc::ContainerCounters& c : f.forwarder.containers) {
    auto it = f.state.containers.find(c.container);
    std::string publisher = it == f.state.containers.end() ? "" : it->second.record.publisher.value();
    for (const auto& [name, value] : c.counters)
      containers.samples.push_back({{{"container", std::to_string(c.container.value())}, {"publisher", publisher}, {"counter", name}},
                                    static_cast<double>(value), {}});
  }

  static constexpr double kBatchBounds[] = {1, 2, 4, 8, 16, 32, 64, std::numeric_limits<double>::infinity()};
  Family batches{"netserv_batch_packets", "Packets a batch", Type::kHistogram, {}};
  Family packets{"netserv_module_packets_total", "Packets seen by a module", Type::kCounter, {}};
  Family bytes{"netserv_module_bytes_total", "Bytes seen by a module", Type::kCounter, {}};
  Family verdicts{"netserv_module_verdicts_total", "Verdicts of a module", Type::kCounter, {}};
  Family cpu{"netserv_module_cpu_seconds_total", "Time spent in a module", Type::kCounter, {}};
  Family traps{"netserv_module_traps_total", "Traps of a module", Type::kCounter, {}};
  Family restarts{"netserv_module_restarts_total", "Restarts of a module after traps", Type::kCounter, {}};
  Family emitted{"netserv_module_emitted_total", "Packets emitted by a module", Type::kCounter, {}};
  for (const auto& [id, status] : f.containers) {
    auto it = f.state.containers.find(id);
    if (it == f.state.containers.end()) continue;
    const std::string& publisher = it->second.record.publisher.value();
    Sample sizes{{{"publisher", publisher}, {"container", std::to_string(id.value())}}, static_cast<double>(status.packets), {}};
    std::uint64_t sum = 0;
    for (std::size_t n = 0; n < 8; ++n) sizes.buckets.emplace_back(kBatchBounds[n], sum += status.batch_size_buckets[n]);
    batches.samples.push_back(sizes);
    for (const ipc::ModuleStatus& m : status.modules) {
      const std::map<std::string, std::string> labels = {{"publisher", publisher}, {"module", m.module.value()}};
      auto add = [&](Family& to, double value) { to.samples.push_back({labels, value, {}}); };
      add(packets, static_cast<double>(m.packets));
      add(bytes, static_cast<double>(m.bytes));
      add(cpu, static_cast<double>(m.cpu_ns) / 1e9);
      add(traps, static_cast<double>(m.traps));
      add(restarts, static_cast<double>(m.restarts));
      add(emitted, static_cast<double>(m.emitted));
      for (auto [verdict, count] : {std::pair{"pass", m.passed}, {"drop", m.dropped}, {"reply", m.replied}, {"steal", m.stolen}}) {
        auto with = labels;
        with["verdict"] = verdict;
        verdicts.samples.push_back({with, static_cast<double>(count), {}});
      }
    }
  }
  for (Family* each : {&batches, &packets, &bytes, &verdicts, &cpu, &traps, &restarts, &emitted}) out.push_back(std::move(*each));
  return out;
}

}  // namespace netserv::daemon
