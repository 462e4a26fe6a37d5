// Results of helpers, and what containers and the forwarder say. Containers are strangers: what they say about
// anything but their own modules is not believed, and what does not fit is ignored.
#include <fmt/format.h>

#include <algorithm>

#include "node/stepper.h"

namespace netserv::node {
namespace {

using ncm::StatusCode;

Error failure(StatusCode code, std::string subject, std::string text) {
  return ncm::refuse(code, std::move(subject), std::move(text)).value();
}

Duration back_off(unsigned failures) {
  Duration delay = kBackOffFirst;
  for (unsigned n = 1; n < failures && delay < kBackOffMost; ++n) delay *= 2;
  return std::min(delay, kBackOffMost);
}

}  // namespace

void Stepper::on(const Fetched& fetched) {
  Module* m = find(fetched.key, fetched.sequence);
  if (!m || m->work != Module::Work::kFetching) return;
  if (!fetched.result) return fail_module(*m, fetched.result.error());
  if (*fetched.result) {
    m->artifact = **fetched.result;
    m->work = Module::Work::kNone;
    return;
  }
  m->work = Module::Work::kCompiling;
  tell(Happened::What::kCompiling, *m);
  act(Compile{fetched.key, fetched.sequence});
}

void Stepper::on(const Compiled& compiled) {
  Module* m = find(compiled.key, compiled.sequence);
  if (!m || m->work != Module::Work::kCompiling) return;
  if (!compiled.result) return fail_module(*m, compiled.result.error());
  m->work = Module::Work::kNone;
  m->artifact = *compiled.result;
}

void Stepper::on(const ContainerUp& up) {
  Container* c = find(up.container, up.life);
  if (!c || c->phase == Container::Phase::kStopping) return;
  bool again = c->phase == Container::Phase::kUp;
  c->phase = Container::Phase::kUp;
  c->restart_at.reset();
  c->stalled_since.reset();
  if (!again) c->up_since = now_.monotonic;
  forget_rings(*c);
  c->rings = up.welcome.rings;
  take_stock(*c, up.welcome);
  tell(Happened::What::kContainerUp, *c,
       up.welcome.modules.empty() ? "" : fmt::format("with {} modules", up.welcome.modules.size()));
}

// What the container has is compared with what is kept; what is kept wins.
void Stepper::take_stock(Container& c, const ipc::Welcome& welcome) {
  for (auto&& [key, m] : modules_of(c.record.publisher)) {
    if (m.record.container != c.record.id) continue;
    bool there = std::any_of(welcome.modules.begin(), welcome.modules.end(),
                             [&id = key.module](const ipc::ModuleStatus& s) { return s.module == id; });
    if (!there) let_go(m);
  }
  for (const ipc::ModuleStatus& status : welcome.modules) {
    ModuleKey key{c.record.publisher, status.module};
    Module* m = find(key);
    if (!m || m->record.container != c.record.id) {
      if (m) continue;  // of another runtime's container: leave it to that one
      Module& ghost = state().modules[key];
      ghost.record.key = key;
      ghost.record.container = c.record.id;
      ghost.record.slot = status.slot;
      ghost.state = ModuleState::kStopping;
      ghost.removing = ghost.loaded = true;
      continue;
    }
    m->loading = false;
    m->loaded = true;
    m->unloading = false;
    m->deadline.reset();
    if (m->removing || m->record.slot != status.slot || m->record.failure) continue;
    if (m->artifact && m->artifact->object != status.object) continue;
    // Its object may be gone from the cache; the running module needs it no more.
    if (m->state == ModuleState::kInstalling && m->record.confirmed) {
      if (m->work != Module::Work::kNone) act(CancelWork{key, m->record.sequence});
      m->work = Module::Work::kNone;
      if (!m->artifact) {
        m->artifact = Artifact{};
        m->artifact->object = status.object;
      }
      transition(*m, ModuleEvent::kPrepared);
    }
    if (m->state == ModuleState::kInstalled) transition(*m, ModuleEvent::kAdmitted);
    if (m->state == ModuleState::kResolved && enabled(key.publisher)) transition(*m, ModuleEvent::kStart);
    if (m->state != ModuleState::kStarting) continue;
    m->backing_off = status.health == ipc::ModuleHealth::kBackingOff;
    update(c, *m);
  }
}

void Stepper::on(const ContainerGone& gone) {
  Container* c = find(gone.container, gone.life);
  if (!c || c->phase == Container::Phase::kDown) return;
  bool wanted = c->phase == Container::Phase::kStopping;
  c->phase = Container::Phase::kDown;
  c->up_since.reset();
  c->idle_since.reset();
  c->stalled_since.reset();
  if (wanted && c->failures == 0) {
    tell(Happened::What::kContainerStopped, *c, gone.reason);
  } else {
    if (!wanted) {
      ++c->failures;
      tell(Happened::What::kContainerLost, *c, gone.reason);
    }
    c->restart_at = now_.monotonic + back_off(c->failures);
  }
  c->has_ring = c->ring_attached = false;
  for (auto& [key, m] : state().modules) {
    if (m.record.container != c->record.id) continue;
    let_go(m);
    bool waits = m.state == ModuleState::kResolved && !m.record.confirmed;
    if (waits && c->failures >= kStartAttempts)
      fail_module(m, failure(StatusCode::kContainerFailed, "container", gone.reason));
  }
}

void Stepper::on(const ContainerSaid& s) {
  Container* c = find(s.container, s.life);
  if (!c || c->phase != Container::Phase::kUp) return;
  std::visit([&](const auto& m) { said(*c, m); }, s.message);
}

void Stepper::said(Container& c, const ipc::RingAttached& m) {
  if (!c.has_ring || m.generation != c.ring_generation) return;
  if (!m.error.empty()) return stop_container(c, "it cannot attach its packet ring: " + m.error);
  c.ring_attached = true;
}

void Stepper::said(Container& c, const ipc::ModuleLoaded& loaded) {
  Module* m = find(c.record.id, loaded.module);
  if (!m || !m->loading) return;
  m->loading = false;
  m->loaded = true;
  m->deadline.reset();
}

// Of one that runs, which no container of ours says, it is believed too: it is the container's module. It stays in
// `loaded` until it has been unloaded in order.
void Stepper::said(Container& c, const ipc::ModuleFailed& failed) {
  Module* m = find(c.record.id, failed.module);
  if (!m || (!m->loading && !m->loaded)) return;
  m->loading = false;
  if (!m->unloading) m->deadline.reset();
  if (m->state == ModuleState::kStarting || m->state == ModuleState::kActive)
    fail_module(*m, failure(StatusCode::kStartFailed, failed.module.value(), failed.reason));
  if (!m->loaded && m->state == ModuleState::kStopping) let_go(*m);
}

void Stepper::said(Container& c, const ipc::ModuleUpdated& updated) {
  Module* m = find(c.record.id, updated.module);
  if (!m || m->updates == 0) return;
  --m->updates;
  if (!updated.error.empty()) tell(Happened::What::kFiltersRefused, *m, "properties: " + updated.error);
}

void Stepper::said(Container& c, const ipc::ModuleUnloaded& unloaded) {
  Module* m = find(c.record.id, unloaded.module);
  if (m && m->unloading) let_go(*m);
}

void Stepper::said(Container&, const ipc::Welcome&) {}  // of a connection's beginning, which is ContainerUp
void Stepper::said(Container&, const ipc::ContainerStatus&) {}  // for metrics, not for decisions
void Stepper::said(Container&, const ipc::ModuleLog&) {}

void Stepper::said(Container& c, const ipc::ModuleTrapped& trapped) {
  Module* m = find(c.record.id, trapped.module);
  if (!m || !m->loaded) return;
  ++m->traps;
  m->backing_off = true;
  // A container waits 100 ms at least between a module's traps; of one that does not, each is counted and few are told.
  if (m->trap_told && now_.monotonic < *m->trap_told + kBackOffFirst / 2) return;
  m->trap_told = now_.monotonic;
  tell(Happened::What::kTrapped, *m, fmt::format("{}; again in {} ms", trapped.reason, trapped.restart_after_ms));
}

void Stepper::said(Container& c, const ipc::ModuleRestarted& restarted) {
  Module* m = find(c.record.id, restarted.module);
  if (!m || !m->loaded || !m->backing_off) return;
  ++m->restarts;
  m->backing_off = false;
  if (m->trap_told && m->trap_told == m->restart_told) return;  // of a trap that was not told
  m->restart_told = m->trap_told;
  tell(Happened::What::kRestarted, *m);
}

void Stepper::on(const ForwarderUp& up) {
  state().forwarder_up = true;
  state().plane = up.welcome.plane;
  state().plane_detail = up.welcome.plane_detail;
  state().plane_reason = up.welcome.plane_reason;
  state().workers = up.welcome.workers;
  state().ring_version = up.welcome.ring_version;
  for (auto& [id, c] : state().containers) {
    forget_filters(c);
    c.at_forwarder = true;
  }
  act(SendForwarder{ipc::SetDrain{state().switches.draining}});
  // Asks which containers it knows: those that are gone here are removed there.
  act(SendForwarder{ipc::GetForwarderStats{}});
  tell(Happened::What::kForwarderUp, fmt::format("plane {} ({})", up.welcome.plane, up.welcome.plane_detail));
}

void Stepper::on(const ForwarderGone& gone) {
  if (!state().forwarder_up) return;
  state().forwarder_up = false;
  state().forwarder_lost = now_.monotonic;
  for (auto& [id, c] : state().containers) {
    forget_filters(c);
    c.stalled_since.reset();
  }
  tell(Happened::What::kForwarderLost, gone.reason);
}

void Stepper::on(const ForwarderSaid& s) {
  if (!state().forwarder_up) return;
  std::visit([&](const auto& m) { said(m); }, s.message);
}

void Stepper::said(const ipc::ForwarderWelcome&) {}

void Stepper::said(const ipc::ContainerRing& ring) {
  Container* c = find(ring.container);
  if (!c || !c->configured) return;
  c->has_ring = true;
  c->ring_attached = false;
  c->ring_generation = state().next_generation++;
  if (!c->filters_pending) c->filters_deadline.reset();
  if (c->phase == Container::Phase::kUp) act(SendContainer{c->record.id, ipc::AttachRing{c->ring_generation}});
}

void Stepper::said(const ipc::FiltersSet& set) {
  Container* c = find(set.container);
  if (!c || !c->filters_pending || set.generation != c->filters_generation) return;
  c->filters_pending = false;
  c->filters_deadline.reset();
  if (set.error.empty()) {
    c->filters_in_force = *c->filters_sent;
    return;
  }
  // Nothing was changed; whoever brought something new has to go back.
  for (auto& [key, m] : state().modules) {
    if (m.record.container != c->record.id) continue;
    if (m.fallback) {
      m.record.spec.filters = m.fallback->filters;
      m.record.spec.options = m.fallback->options;
      m.fallback.reset();
      keep(PutModule{m.record});
      tell(Happened::What::kFiltersRefused, m, set.error);
    } else if (m.state == ModuleState::kStarting && m.loaded && !m.record.spec.filters.empty()) {
      fail_module(m, failure(StatusCode::kOverloaded, "filters", set.error));
    } else if (m.state == ModuleState::kActive && !m.record.spec.filters.empty()) {
      tell(Happened::What::kFiltersRefused, m, set.error);  // a new forwarder's: it runs, and packets pass it by
    }
  }
}

void Stepper::said(const ipc::ForwarderStats& stats) {
  if (stats.from == 0) state().plane_detail = stats.plane_detail;
  for (const ipc::ContainerCounters& counters : stats.containers)
    if (!find(counters.container)) act(SendForwarder{ipc::RemoveContainer{counters.container}});
}

void Stepper::said(const ipc::ContainerStalled& stalled) {
  Container* c = find(stalled.container);
  if (!c || c->phase != Container::Phase::kUp || c->stalled_since) return;
  c->stalled_since = now_.monotonic;
  tell(Happened::What::kContainerStalled, *c, fmt::format("{} packets in flight", stalled.in_flight));
}

void Stepper::said(const ipc::ContainerResumed& resumed) {
  Container* c = find(resumed.container);
  if (!c || !c->stalled_since) return;
  c->stalled_since.reset();
  tell(Happened::What::kContainerResumed, *c);
}

void Stepper::said(const ipc::RingCorrupted& corrupted) {
  if (Container* c = find(corrupted.container)) stop_container(*c, "its ring makes no sense: " + corrupted.reason);
}

void Stepper::said(const ipc::PlaneProblem& problem) { tell(Happened::What::kPlaneProblem, problem.text); }

// After a restart: modules are installed again from the cache, and containers that kept running are looked for.
void Stepper::take_up(const Snapshot& snapshot, Settings settings, const std::map<ModuleKey, Artifact>& cached,
                      const std::map<ModuleKey, Error>& refused) {
  State& s = state();
  s.settings = std::move(settings);
  s.forwarder_lost = now_.monotonic;
  s.switches = snapshot.switches;
  s.nonces = snapshot.nonces;
  s.next_sequence = snapshot.next_sequence;
  s.next_container = snapshot.next_container;
  for (const ContainerRecord& record : snapshot.containers) s.containers[record.id].record = record;
  for (const ModuleRecord& record : snapshot.modules) {
    Module& m = s.modules[record.key];
    m.record = record;
    m.since = now_.monotonic;
    m.state = record.failure ? ModuleState::kFailed : ModuleState::kInstalling;
    if (auto it = cached.find(record.key); it != cached.end()) m.artifact = it->second;
    if (record.expires <= now_.wall) uninstall(m, Happened::What::kExpired, "ttl ended");
  }
  hold_to_settings(refused);
  for (auto& [id, container] : s.containers) {
    Container& c = container;  // lambdas of clang 14 don't see bindings
    bool adopt = enabled(c.record.publisher) && std::any_of(s.modules.begin(), s.modules.end(), [&](const auto& entry) {
      const Module& m = entry.second;
      return m.record.container == c.record.id && m.record.confirmed && !m.removing;
    });
    c.phase = adopt ? Container::Phase::kStarting : Container::Phase::kStopping;
    c.life = s.next_generation++;
    if (adopt)
      act(StartContainer{c.record, c.life});
    else
      act(StopContainer{c.record, c.life});
  }
}

Step recover(const Snapshot& snapshot, Settings settings, const std::map<ModuleKey, Artifact>& cached,
             const std::map<ModuleKey, Error>& refused, const Now& now) {
  Stepper stepper(State{}, now);
  stepper.take_up(snapshot, std::move(settings), cached, refused);
  return stepper.finish();
}

}  // namespace netserv::node
