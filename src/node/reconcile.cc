// From what is there to what is wanted, one stage further for everything that can move.
#include <fmt/format.h>

#include <algorithm>

#include "node/stepper.h"
#include "wire/ncm/request.h"

namespace netserv::node {
namespace {

using ncm::StatusCode;
using Phase = Container::Phase;

bool contains(const std::vector<std::string>& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}
bool in_container(const Module& m) { return m.loading || m.loaded || m.unloading; }
bool runs(const Module& m) { return m.state == ModuleState::kStarting || m.state == ModuleState::kActive; }

}  // namespace

bool Stepper::enabled(const PublisherId& publisher) {
  return !state().switches.disabled.count(publisher) && state().settings.publishers.count(publisher);
}

// Steps enable one another (a filter in force makes a module ACTIVE, which makes its old version go), so go
// round until nothing moves. Each round moves some module at least a state further, so it ends.
void Stepper::reconcile() {
  std::size_t before = 0, after = 0;
  do {
    before = out_.actions.size() + out_.happened.size() + out_.changes.size();
    start_work();
    for (auto& [key, module] : state().modules) {
      admit(module);
      advance(module);
      tidy(module);
    }
    for (auto& [id, container] : state().containers) {
      run(container);
      agree_with_forwarder(container);
    }
    erase_gone();
    after = out_.actions.size() + out_.happened.size() + out_.changes.size();
  } while (after != before);
}

// In order of acceptance; one place is always left for another publisher, whatever the modules of one take to compile.
void Stepper::start_work() {
  std::vector<Module*> waiting;
  unsigned running = 0;
  std::map<PublisherId, unsigned> of_publisher;
  for (auto& [key, m] : state().modules) {
    running += m.work != Module::Work::kNone;
    of_publisher[key.publisher] += m.work != Module::Work::kNone;
    if (m.state == ModuleState::kInstalling && m.work == Module::Work::kNone && !m.artifact) waiting.push_back(&m);
  }
  std::sort(waiting.begin(), waiting.end(),
            [](const Module* a, const Module* b) { return a->record.sequence < b->record.sequence; });
  for (Module* m : waiting) {
    if (!m->waiting.empty()) answer_waiting(*m);
    const unsigned most = state().settings.parallel_installs;
    unsigned& own = of_publisher[m->record.key.publisher];
    if (running >= most || (most > 1 && own + 1 >= most)) continue;
    ++running;
    ++own;
    m->work = Module::Work::kFetching;
    tell(Happened::What::kFetching, *m, m->record.spec.url);
    act(Fetch{m->record.key, m->record.sequence, m->record.spec.url, m->record.spec.digest});
  }
  for (auto& [key, m] : state().modules)
    if (m.state == ModuleState::kInstalling && m.artifact && m.work == Module::Work::kNone)
      transition(m, ModuleEvent::kPrepared);
}

// What the manifest says against the id that it came under, and what it asks for against what policy grants.
std::optional<Error> Stepper::manifest_refusal(const Module& m) const {
  const Settings& settings = out_.next.settings;
  auto grant = settings.publishers.find(m.record.key.publisher);
  if (!m.artifact || grant == settings.publishers.end()) return std::nullopt;
  auto no = [](StatusCode code, std::string subject, std::string text) {
    return ncm::refuse(code, std::move(subject), std::move(text)).value();
  };
  if (!m.artifact->name.empty())
    if (auto id = ncm::parse_module_name(m.record.key.module.value()))
      if (auto error = ncm::other_module(*id, m.artifact->name, m.artifact->version)) return error;
  for (const std::string& block : m.artifact->blocks) {
    if (!contains(settings.blocks, block))
      return no(StatusCode::kDependencyMissing, "manifest", fmt::format("this node has no building block {}", block));
    if (!contains(grant->second.blocks, block))
      return no(StatusCode::kBlockNotGranted, "manifest", fmt::format("building block {} is not granted", block));
  }
  if (m.artifact->memory_pages > grant->second.max_memory_pages)
    return no(StatusCode::kLimitExceeded, "manifest",
              fmt::format("wants {} memory pages, granted are {}", m.artifact->memory_pages, grant->second.max_memory_pages));
  if (m.record.spec.options.mode == ModuleOptions::Mode::kObserve && !m.artifact->observer)
    return no(StatusCode::kNotAllowed, "netserv.mode", "the module's manifest does not say that it only observes");
  return std::nullopt;
}

void Stepper::admit(Module& m) {
  if (m.state != ModuleState::kInstalled || !state().settings.publishers.count(m.record.key.publisher)) return;
  if (auto error = manifest_refusal(m)) return fail_module(m, *error);
  transition(m, ModuleEvent::kAdmitted);
}

void Stepper::advance(Module& m) {
  Container* c = find(m.record.container);
  if (!c) return;
  if (runs(m) && !enabled(m.record.key.publisher)) return transition(m, ModuleEvent::kStop);
  if (m.state == ModuleState::kResolved && c->phase == Phase::kUp && !in_container(m) && slot_is_free(m) &&
      enabled(m.record.key.publisher))
    load(*c, m);
  if (m.state == ModuleState::kStarting && m.loaded && m.record.spec.filters.empty()) transition(m, ModuleEvent::kStarted);
  if (m.state != ModuleState::kActive) return;
  for (auto&& [key, old] : modules_of(m.record.key.publisher))
    if (module_name(key.module) == module_name(m.record.key.module) &&
        old.record.sequence < m.record.sequence && !old.removing)
      uninstall(old, Happened::What::kReplaced, "by " + m.record.key.module.value());
}

// A container adopted after a restart may still have another module in this one's place.
bool Stepper::slot_is_free(const Module& m) {
  for (auto&& [key, other] : modules_of(m.record.key.publisher))
    if (&other != &m && other.record.container == m.record.container && other.record.slot == m.record.slot &&
        in_container(other))
      return false;
  return true;
}

void Stepper::load(Container& c, Module& m) {
  auto grant = state().settings.publishers.find(m.record.key.publisher);
  ipc::LoadModule message;
  message.module = m.record.key.module;
  message.slot = m.record.slot;
  message.object = m.artifact->object;
  message.order = m.record.spec.options.order;
  message.age = m.record.sequence;
  message.properties = m.record.spec.properties;
  message.blocks = m.artifact->blocks;
  message.memory_pages = m.artifact->memory_pages ? m.artifact->memory_pages : grant->second.max_memory_pages;
  act(SendContainer{c.record.id, std::move(message)});
  m.loading = true;
  m.deadline = now_.monotonic + kContainerWait;
  transition(m, ModuleEvent::kStart);
}

// A module that is in its container without reason leaves it, once no filter leads to it.
void Stepper::tidy(Module& m) {
  if (runs(m) || !m.loaded || m.unloading) return;
  Container* c = find(m.record.container);
  if (!c || c->phase != Phase::kUp || filters_lead_to(*c, m)) return;
  m.unloading = true;
  m.deadline = now_.monotonic + kContainerWait;
  act(SendContainer{c->record.id, ipc::UnloadModule{m.record.key.module}});
}

void Stepper::run(Container& c) {
  bool on = enabled(c.record.publisher), wanted = false, occupied = false, expected = false;
  for (auto&& [key, m] : modules_of(c.record.publisher)) {
    if (m.record.container != c.record.id) continue;
    wanted |= on && (m.state == ModuleState::kResolved || runs(m));
    expected |= on && (m.state == ModuleState::kInstalling || m.state == ModuleState::kInstalled);
    occupied |= in_container(m);
  }
  if (c.restart_at && *c.restart_at <= now_.monotonic) c.restart_at.reset();
  if (c.phase == Phase::kDown && wanted && !c.restart_at) {
    c.phase = Phase::kStarting;
    c.life = state().next_generation++;
    act(StartContainer{c.record, c.life});
    tell(Happened::What::kContainerStarting, c);
  }
  if (c.phase == Phase::kDown && !wanted && c.at_forwarder && state().forwarder_up) {
    act(SendForwarder{ipc::RemoveContainer{c.record.id}});
    forget_filters(c);
    c.at_forwarder = false;
    c.filters_in_force.clear();
  }
  if (c.phase != Phase::kUp) return;
  if (wanted || occupied || expected) return c.idle_since.reset();
  if (!c.idle_since) c.idle_since = now_.monotonic;
  if (on && now_.monotonic < *c.idle_since + state().settings.container_idle) return;
  c.failures = 0;
  stop_container(c, {});
}

bool Stepper::superseded(const Module& m) {
  for (auto&& [key, other] : modules_of(m.record.key.publisher))
    if (other.record.sequence > m.record.sequence && other.loaded &&
        runs(other) && module_name(key.module) == module_name(m.record.key.module))
      return true;
  return false;
}

std::vector<ipc::ModuleFilter> Stepper::wanted_filters(const Container& c, std::vector<std::uint64_t>& installations) {
  std::vector<ipc::ModuleFilter> out;
  bool reachable = c.phase == Phase::kUp && c.ring_attached;
  for (auto&& [key, m] : modules_of(c.record.publisher)) {
    if (m.record.container != c.record.id || m.removing || !enabled(key.publisher)) continue;
    const ModuleOptions& o = m.record.spec.options;
    bool in_place = reachable && m.loaded && !m.unloading && runs(m) && !superseded(m);
    bool closed = o.fail_closed && m.record.confirmed && m.state != ModuleState::kFailed && !superseded(m);
    if (!in_place && !closed) continue;
    if (in_place) installations.push_back(m.record.sequence);
    bool observer = o.mode == ModuleOptions::Mode::kObserve ||
                    (o.mode == ModuleOptions::Mode::kAsManifest && m.artifact && m.artifact->observer);
    for (const Filter& f : m.record.spec.filters)
      out.push_back(ipc::ModuleFilter{f, m.record.slot, o.fail_closed, observer, o.snap_length, o.sample_one_in});
  }
  return out;
}

bool Stepper::filters_lead_to(const Container& c, const Module& m) const {
  if (!out_.next.forwarder_up) return now_.monotonic < out_.next.forwarder_lost + kForwarderWait;
  if (!c.filters_sent) return true;  // not agreed yet on this connection: they may
  auto leads = [&](const ipc::ModuleFilter& f) { return f.slot == m.record.slot; };
  return std::any_of(c.filters_in_force.begin(), c.filters_in_force.end(), leads) ||
         (c.filters_pending && std::any_of(c.filters_sent->begin(), c.filters_sent->end(), leads));
}

void Stepper::agree_with_forwarder(Container& c) {
  if (!state().forwarder_up) return;
  if (c.phase == Phase::kUp && !c.rings.covers(state().ring_version))
    return stop_container(c, fmt::format("it maps packet rings of version {} to {}, and the forwarder makes version {}",
                                         c.rings.oldest, c.rings.newest, state().ring_version));
  auto grant = state().settings.publishers.find(c.record.publisher);
  if (c.phase == Phase::kUp && !c.configured && grant != state().settings.publishers.end()) {
    ipc::ConfigureContainer message;
    message.container = c.record.id;
    message.publisher = c.record.publisher.value();
    message.priority = grant->second.priority;
    message.age = c.record.id.value();
    message.authorised = grant->second.authorised;
    message.emit_packets_per_second = grant->second.emit_packets_per_second;
    message.send_bytes_per_second = grant->second.send_bytes_per_second;
    message.keep_ring = c.ring_attached;
    act(SendForwarder{std::move(message)});
    c.configured = c.at_forwarder = true;
    if (!c.ring_attached) c.filters_deadline = now_.monotonic + kForwarderWait;  // for its ring
  }
  // While a ring is on its way packets pass by anyway; say nothing until the container can take them.
  bool settled = c.phase == Phase::kUp ? c.ring_attached : c.phase == Phase::kDown && c.filters_sent.has_value();
  if (!settled || c.filters_pending) return;
  std::vector<std::uint64_t> installations;
  std::vector<ipc::ModuleFilter> wanted = wanted_filters(c, installations);
  c.filters_for = std::move(installations);
  if (c.filters_sent == wanted) return filters_confirmed(c);
  c.filters_sent = wanted;
  c.filters_generation = state().next_generation++;
  c.filters_pending = true;
  c.filters_deadline = now_.monotonic + kForwarderWait;
  act(SendForwarder{ipc::SetFilters{c.record.id, c.filters_generation, std::move(wanted)}});
}

// The filters in force are those that are wanted: modules that waited for theirs are ACTIVE.
void Stepper::filters_confirmed(Container& c) {
  if (c.filters_in_force != *c.filters_sent) return;  // refused
  for (auto&& [key, m] : modules_of(c.record.publisher)) {
    if (m.record.container != c.record.id) continue;
    bool placed = std::find(c.filters_for.begin(), c.filters_for.end(), m.record.sequence) != c.filters_for.end();
    if (!placed) continue;
    m.fallback.reset();
    if (m.state == ModuleState::kStarting) transition(m, ModuleEvent::kStarted);
  }
}

void Stepper::release_unused(const PublisherId& publisher, const std::optional<Artifact>& artifact) {
  if (!artifact) return;
  bool used = std::ranges::any_of(modules_of(publisher), [&](const auto& entry) {
    const auto& other = entry.second.artifact;
    return other && other->object == artifact->object;
  });
  if (!used) act(ReleaseObject{publisher, artifact->object});
}

void Stepper::erase_gone() {
  auto& modules = state().modules;
  for (auto it = modules.begin(); it != modules.end();) {
    Module& m = it->second;
    if (m.state != ModuleState::kUninstalled || in_container(m)) {
      ++it;
      continue;
    }
    Module gone = std::move(m);
    it = modules.erase(it);
    for (RequestId request : gone.removals) {
      bool more = std::any_of(modules.begin(), modules.end(), [&](const auto& entry) {
        const auto& list = entry.second.removals;
        return std::find(list.begin(), list.end(), request) != list.end();
      });
      if (!more)
        answer(request, StatusCode::kRemoved, gone.record.key.module.value(), "removed", gone.record.key,
               std::string(to_string(ModuleState::kUninstalled)));
    }
    release_unused(gone.record.key.publisher, gone.artifact);
  }
  auto& containers = state().containers;
  for (auto it = containers.begin(); it != containers.end();) {
    Container& c = it->second;
    auto has = [&] {
      return std::ranges::any_of(modules_of(c.record.publisher),
                                 [&](const auto& entry) { return entry.second.record.container == c.record.id; });
    };
    if (c.phase != Phase::kDown || (c.at_forwarder && state().forwarder_up) || has()) {
      ++it;
      continue;
    }
    keep(DeleteContainer{it->first});
    it = containers.erase(it);
  }
}

void Stepper::time_out() {
  auto past = [&](const std::optional<TimePoint>& t) { return t && *t <= now_.monotonic; };
  for (auto& [key, m] : state().modules) {
    if (past(m.answer_by)) answer_waiting(m);
    if (!past(m.deadline)) continue;
    m.deadline.reset();
    Container* c = find(m.record.container);
    const std::string what = fmt::format("{} did not {} in time", key.module.value(), m.loading ? "start" : "stop");
    if (m.loading && m.state == ModuleState::kStarting)
      fail_module(m, ncm::refuse(StatusCode::kStartFailed, key.module.value(), "did not start in time").value());
    if (c) stop_container(*c, what);
  }
  bool reset = false;
  for (auto& [id, c] : state().containers) {
    reset |= past(c.filters_deadline);
    if (past(c.filters_deadline)) c.filters_deadline.reset();
    if (c.stalled_since && *c.stalled_since + kStallWait <= now_.monotonic) {
      c.stalled_since.reset();
      stop_container(c, "it does not take packets");
    }
    if (c.phase == Phase::kUp && c.up_since && *c.up_since + kBackOffMost <= now_.monotonic) c.failures = 0;
  }
  if (reset) act(ResetForwarder{"it does not answer"});
}

Step step(const State& state, const Event& event, const Now& now) {
  Stepper stepper(state, now);
  std::visit([&](const auto& e) { stepper.on(e); }, event);
  return stepper.finish();
}

Duration until_next_tick(const State& state, const Now& now) {
  Duration least = std::chrono::seconds(10);  // the wall clock may be set
  auto by = [&](const std::optional<TimePoint>& t) {
    if (t) least = std::min(least, *t - now.monotonic);
  };
  if (!state.forwarder_up && now.monotonic < state.forwarder_lost + kForwarderWait)
    by(state.forwarder_lost + kForwarderWait);
  for (const auto& [key, m] : state.modules) {
    by(m.deadline);
    by(m.answer_by);
    if (!m.removing) least = std::min<Duration>(least, m.record.expires - now.wall);
  }
  for (const auto& [id, c] : state.containers) {
    if (c.phase == Container::Phase::kDown) by(c.restart_at);
    by(c.filters_deadline);
    if (c.stalled_since) by(*c.stalled_since + kStallWait);
    if (c.idle_since) by(*c.idle_since + state.settings.container_idle);
  }
  return std::max(least, Duration::zero());
}

}  // namespace netserv::node
