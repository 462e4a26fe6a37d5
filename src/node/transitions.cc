#include <fmt/format.h>

#include <algorithm>

#include "node/stepper.h"

namespace netserv::node {

std::string module_name(const ModuleId& id) {
  const std::string& text = id.value();
  auto at = text.rfind('_');
  bool versioned = at != std::string::npos && at + 1 < text.size() && text[at + 1] >= '0' && text[at + 1] <= '9';
  return versioned ? text.substr(0, at) : text;
}

Module* Stepper::find(const ModuleKey& key) {
  auto it = state().modules.find(key);
  return it == state().modules.end() ? nullptr : &it->second;
}

Module* Stepper::find(const ModuleKey& key, std::uint64_t sequence) {
  Module* module = find(key);
  return module && module->record.sequence == sequence ? module : nullptr;
}

Module* Stepper::find(ContainerId container, const ModuleId& id) {
  Container* c = find(container);
  Module* module = c ? find(ModuleKey{c->record.publisher, id}) : nullptr;
  return module && module->record.container == container ? module : nullptr;
}

Container* Stepper::find(ContainerId container) {
  auto it = state().containers.find(container);
  return it == state().containers.end() ? nullptr : &it->second;
}

Container* Stepper::find(ContainerId container, std::uint64_t life) {
  Container* c = find(container);
  return c && c->life == life ? c : nullptr;
}

void Stepper::tell(Happened::What what, const Module& module, std::string text, std::uint16_t code) {
  Happened h;
  h.what = what;
  h.key = module.record.key;
  h.container = module.record.container;
  h.from = h.to = module.state;
  h.code = code;
  h.text = std::move(text);
  h.notification = module.record.spec.notification;
  out_.happened.push_back(std::move(h));
}

void Stepper::tell(Happened::What what, const Container& container, std::string text) {
  Happened h;
  h.what = what;
  h.key.publisher = container.record.publisher;
  h.container = container.record.id;
  h.text = std::move(text);
  out_.happened.push_back(std::move(h));
}

void Stepper::tell(Happened::What what, std::string text) {
  Happened h;
  h.what = what;
  h.text = std::move(text);
  out_.happened.push_back(std::move(h));
}

// The one place where a module's state changes.
void Stepper::transition(Module& module, ModuleEvent event) {
  std::optional<ModuleState> next = next_state(module.state, event);
  NETSERV_CHECK(next.has_value());
  if (*next == module.state) return;
  ModuleState from = module.state;
  module.state = *next;
  tell(Happened::What::kStateChanged, module);
  Happened& h = out_.happened.back();
  h.from = from;
  if (module.state != ModuleState::kActive) return;
  h.first = !module.record.confirmed;
  h.took = now_.monotonic - module.since;
  module.fallback.reset();
  if (h.first) {
    module.record.confirmed = true;
    keep(PutModule{module.record});
  }
  answer_waiting(module);
}

void Stepper::fail_module(Module& module, Error error) {
  module.record.failure = StoredFailure{static_cast<std::uint16_t>(error.code), error.subject, error.text};
  if (module.work == Module::Work::kFetching || module.work == Module::Work::kCompiling)
    act(CancelWork{module.record.key, module.record.sequence});
  module.work = Module::Work::kNone;
  if (!module.unloading) module.deadline.reset();
  transition(module, ModuleEvent::kFail);
  keep(PutModule{module.record});
  tell(Happened::What::kFailed, module, error.message(), static_cast<std::uint16_t>(error.code));
  for (RequestId request : module.waiting) answer(request, error, module.record.key.module.value());
  module.waiting.clear();
  module.answer_by.reset();
}

void Stepper::uninstall(Module& module, Happened::What why, const std::string& text, std::uint16_t code) {
  if (module.removing) return;
  if (module.work == Module::Work::kFetching || module.work == Module::Work::kCompiling)
    act(CancelWork{module.record.key, module.record.sequence});
  module.work = Module::Work::kNone;
  module.removing = true;
  keep(DeleteModule{module.record.key});
  tell(why, module, text, code);
  for (RequestId request : module.waiting)
    answer(request, Error{Origin::kPublisher, module.record.key.module.value(), text, ncm::number(ncm::StatusCode::kNotFound)},
           module.record.key.module.value());
  module.waiting.clear();
  module.answer_by.reset();
  transition(module, ModuleEvent::kUninstall);
}

void Stepper::update(Container& container, Module& module) {
  const ModuleSpec& spec = module.record.spec;
  act(SendContainer{container.record.id, ipc::UpdateModule{module.record.key.module, spec.options.order, spec.properties}});
  ++module.updates;
}

void Stepper::let_go(Module& module) {
  module.loading = module.loaded = module.unloading = module.backing_off = false;
  module.updates = 0;
  module.deadline.reset();
  if (module.state == ModuleState::kStopping)
    transition(module, module.removing ? ModuleEvent::kGone : ModuleEvent::kUnloaded);
  if (module.state == ModuleState::kStarting || module.state == ModuleState::kActive)
    transition(module, ModuleEvent::kContainerLost);
}

void Stepper::forget_rings(Container& container) {
  container.configured = container.has_ring = container.ring_attached = false;
  if (!container.filters_pending) container.filters_deadline.reset();
}

void Stepper::forget_filters(Container& container) {
  container.filters_pending = false;
  container.filters_sent.reset();
  forget_rings(container);
}

void Stepper::stop_container(Container& container, const std::string& why) {
  if (container.phase != Container::Phase::kUp && container.phase != Container::Phase::kStarting) return;
  container.phase = Container::Phase::kStopping;
  container.idle_since.reset();
  act(StopContainer{container.record, container.life});
  if (!why.empty()) {
    ++container.failures;
    tell(Happened::What::kContainerLost, container, why);
  }
}

std::string_view to_string(Happened::What what) {
  using W = Happened::What;
  switch (what) {
    case W::kAccepted: return "accepted";
    case W::kRefreshed: return "refreshed";
    case W::kRefused: return "refused";
    case W::kFetching: return "fetching";
    case W::kCompiling: return "compiling";
    case W::kStateChanged: return "state";
    case W::kFailed: return "failed";
    case W::kExpired: return "expired";
    case W::kRemoved: return "removed";
    case W::kReplaced: return "replaced";
    case W::kTrapped: return "trapped";
    case W::kRestarted: return "restarted";
    case W::kFiltersRefused: return "filters-refused";
    case W::kContainerStarting: return "container-starting";
    case W::kContainerUp: return "container-up";
    case W::kContainerStopped: return "container-stopped";
    case W::kContainerLost: return "container-lost";
    case W::kContainerStalled: return "container-stalled";
    case W::kContainerResumed: return "container-resumed";
    case W::kForwarderUp: return "forwarder-up";
    case W::kForwarderLost: return "forwarder-lost";
    case W::kPlaneProblem: return "plane-problem";
    case W::kDraining: return "draining";
    case W::kPublisherDisabled: return "publisher";
    case W::kReloaded: return "reloaded";
  }
  return "?";
}

std::string sentence(const Happened& h) {
  std::string out(to_string(h.what));
  if (h.what == Happened::What::kStateChanged) {
    out = fmt::format("{} -> {}", to_string(h.from), to_string(h.to));
    if (h.to == ModuleState::kActive && h.first)
      out += fmt::format(" after {} ms", std::chrono::duration_cast<std::chrono::milliseconds>(h.took).count());
  }
  if (h.code != 0) out += fmt::format(" ({})", h.code);
  if (!h.text.empty()) out += ": " + h.text;
  return out;
}

}  // namespace netserv::node
