// Requests of publishers and the operator.
#include <fmt/format.h>

#include <algorithm>

#include "node/stepper.h"

namespace netserv::node {
namespace {

using ncm::StatusCode;

Error refused(StatusCode code, std::string subject, std::string text) {
  return ncm::refuse(code, std::move(subject), std::move(text)).value();
}

bool in_progress(const Module& m) {
  return !m.record.confirmed && (m.state == ModuleState::kInstalling || m.state == ModuleState::kInstalled ||
                                 m.state == ModuleState::kResolved || m.state == ModuleState::kStarting);
}

}  // namespace

void Stepper::answer(RequestId request, StatusCode code, const std::string& object, std::string text,
                     const ModuleKey& key, const std::string& state_name) {
  ncm::Response r;
  r.code = code;
  r.object = object;
  r.text = std::move(text);
  r.id = key.module.value();
  r.node = address();
  r.state = state_name;
  act(Answer{request, std::move(r)});
}

void Stepper::answer(RequestId request, const Error& error, const std::string& id) {
  act(Answer{request, ncm::response_to(error, id, address())});
}

void Stepper::answer_waiting(Module& module) {
  const std::string id = module.record.key.module.value();
  bool active = module.state == ModuleState::kActive;
  for (RequestId request : module.waiting)
    answer(request, active ? StatusCode::kActive : StatusCode::kInstalling, id,
           active ? "active" : "accepted; ask again with PROBE", module.record.key, std::string(to_string(module.state)));
  module.waiting.clear();
  module.answer_by.reset();
}

void Stepper::remember(const PublisherId& publisher, const Stamp& stamp, std::uint64_t sequence) {
  if (stamp.nonce.empty()) return;
  NonceKey key{publisher, stamp.nonce};
  NonceRecord record{stamp.fingerprint, stamp.expires, sequence};
  state().nonces[key] = record;
  keep(PutNonce{key, record});
}

std::optional<Error> Stepper::too_many_nonces(const PublisherId& publisher, std::size_t most) const {
  std::size_t count = 0;
  const auto& nonces = out_.next.nonces;
  for (auto it = nonces.lower_bound(NonceKey{publisher, ""}); it != nonces.end() && it->first.first == publisher; ++it) ++count;
  if (count < most) return std::nullopt;
  return refused(StatusCode::kOverloaded, "nonce", "too many requests of this publisher within their validity; wait until some expire");
}

// A nonce seen before: the same message again gets the present result, another message is a replay.
bool Stepper::answered_as_seen(RequestId request, const ModuleKey& key, const Stamp& stamp) {
  if (stamp.nonce.empty()) return false;
  auto it = state().nonces.find(NonceKey{key.publisher, stamp.nonce});
  if (it == state().nonces.end()) return false;
  const std::string& id = key.module.value();
  if (it->second.fingerprint != stamp.fingerprint) {
    answer(request, refused(StatusCode::kNonceReused, "nonce", "was used in another message"), id);
    return true;
  }
  if (it->second.sequence == 0) {
    answer(request, StatusCode::kUnchanged, id, "this very message was seen before; nothing changed", key, "");
    return true;
  }
  if (it->second.sequence == kRefusedSequence) {
    answer(request, refused(StatusCode::kReplayed, "nonce", "this very message was refused before: sign anew"), id);
    return true;
  }
  Module* module = find(key, it->second.sequence);
  if (!module || module->removing) {
    answer(request, refused(StatusCode::kReplayed, "nonce", "an old message; its module is gone: sign anew"), id);
    return true;
  }
  if (module->record.failure) {
    const StoredFailure& f = *module->record.failure;
    answer(request, Error{Origin::kPublisher, f.subject, f.text, f.code}, id);
    return true;
  }
  answer(request, StatusCode::kUnchanged, id, "this very message was seen before; nothing changed", key,
         std::string(to_string(module->state)));
  return true;
}

std::optional<Error> Stepper::refusal(const Setup& setup) {
  const State& s = state();
  auto grant = s.settings.publishers.find(setup.key.publisher);
  if (grant == s.settings.publishers.end())
    return refused(StatusCode::kUnknownPublisher, "user", "is not in this node's configuration");
  if (s.switches.disabled.count(setup.key.publisher))
    return refused(StatusCode::kPublisherDisabled, "user", "is disabled by this node's operator");
  if (s.switches.draining) return refused(StatusCode::kDraining, "node", "is being drained by its operator");
  for (const std::string& block : setup.spec.dependencies)
    if (std::find(s.settings.blocks.begin(), s.settings.blocks.end(), block) == s.settings.blocks.end())
      return refused(StatusCode::kDependencyMissing, "dependencies", fmt::format("no building block {}", block));
  if (!setup.stamp.nonce.empty())
    if (auto error = too_many_nonces(setup.key.publisher, kMostNonces)) return error;
  Module* present = find(setup.key);
  if (present && (present->removing || present->state == ModuleState::kStopping))
    return refused(StatusCode::kBusy, setup.key.module.value(), "is being stopped; try again");
  if (present && present->state != ModuleState::kFailed) {
    if (present->record.spec.digest != setup.spec.digest || present->record.spec.url != setup.spec.url) {
      if (in_progress(*present))
        return refused(StatusCode::kBusy, setup.key.module.value(), "is being installed from another SETUP");
      if (present->record.spec.digest != setup.spec.digest)
        return refused(StatusCode::kDigestConflict, "digest", "this id is installed with another digest: use a new version");
    }
    if (in_progress(*present) && !(present->record.spec == setup.spec))
      return refused(StatusCode::kBusy, setup.key.module.value(), "is being installed from another SETUP");
    return std::nullopt;
  }
  std::size_t count = 0;
  for (const auto& [key, module] : s.modules)
    count += key.publisher == setup.key.publisher && module.state != ModuleState::kFailed && !module.removing &&
             !(key == setup.key);
  if (count >= grant->second.max_modules)
    return refused(StatusCode::kLimitExceeded, "modules", fmt::format("at most {} of a publisher", grant->second.max_modules));
  return std::nullopt;
}

void Stepper::on(const Setup& setup) {
  if (answered_as_seen(setup.request, setup.key, setup.stamp)) return release_unused(setup.key.publisher, setup.cached);
  if (std::optional<Error> error = refusal(setup)) {
    refuse({setup.request, setup.key, setup.stamp, *error, setup.spec.notification});
    return release_unused(setup.key.publisher, setup.cached);
  }
  Module* present = find(setup.key);
  const std::optional<Artifact> before = present ? present->artifact : std::nullopt;
  if (present && present->state != ModuleState::kFailed)
    refresh(setup, *present);
  else
    install(setup, present);
  for (const auto& artifact : {before, setup.cached}) release_unused(setup.key.publisher, artifact);
}

void Stepper::on(const Refused& refused) {
  if (!answered_as_seen(refused.request, refused.key, refused.stamp)) refuse(refused);
}

// Once refused, a message stays refused: its replay must not take effect when the reason has gone. What there is no
// room to remember has used up nothing.
void Stepper::refuse(const Refused& r) {
  bool known = state().settings.publishers.count(r.key.publisher) != 0;
  if (known && !too_many_nonces(r.key.publisher, kMostNonces)) remember(r.key.publisher, r.stamp, kRefusedSequence);
  Module subject;
  subject.record.key = r.key;
  subject.record.spec.notification = r.notification;
  tell(Happened::What::kRefused, subject, r.error.message(), static_cast<std::uint16_t>(r.error.code));
  answer(r.request, r.error, r.key.module.value());
}

// The publisher's container for this runtime, and a free slot in it; a new container's number is kept before it
// is used. Nothing: all slots or addresses are taken.
Container* Stepper::place_for(const PublisherId& publisher, const std::string& runtime, ModuleSlot& slot) {
  Container* container = nullptr;
  for (auto& [id, c] : state().containers)
    if (c.record.publisher == publisher && c.record.runtime == runtime) container = &c;
  if (!container) {
    const std::uint32_t addresses = state().settings.container_addresses;
    auto taken = [&](std::uint32_t n) {
      return addresses != 0 && std::any_of(state().containers.begin(), state().containers.end(), [&](const auto& entry) {
        return entry.first.value() % addresses == n % addresses;
      });
    };
    if (addresses != 0 && state().containers.size() >= addresses) return nullptr;
    while (taken(state().next_container)) ++state().next_container;
    ContainerId id(state().next_container++);
    container = &state().containers[id];
    container->record = ContainerRecord{id, publisher, runtime};
    keep(PutContainer{container->record});
  }
  std::uint64_t used = 0;
  for (const auto& [key, m] : state().modules)
    if (m.record.container == container->record.id) used |= std::uint64_t{1} << m.record.slot.value();
  for (std::uint8_t n = 0; n < kMaxModulesPerContainer; ++n) {
    if (used >> n & 1) continue;
    slot = ModuleSlot(n);
    return container;
  }
  return nullptr;
}

void Stepper::install(const Setup& setup, Module* failed_before) {
  // A failed module may still be in its container; it keeps its slot until it has been unloaded.
  if (failed_before && (failed_before->loaded || failed_before->loading || failed_before->unloading))
    return refuse({setup.request, setup.key, setup.stamp, refused(StatusCode::kBusy, setup.key.module.value(), "is being stopped; try again")});
  if (failed_before) state().modules.erase(setup.key);
  ModuleSlot slot;
  Container* container = place_for(setup.key.publisher, "wasm", slot);
  if (!container)
    return refuse({setup.request, setup.key, setup.stamp,
                   refused(StatusCode::kLimitExceeded, "modules", "no place left in the publisher's container, or no address for one")});
  Module& module = state().modules[setup.key];
  module.state = ModuleState::kUninstalled;
  module.record.key = setup.key;
  module.record.spec = setup.spec;
  module.record.sequence = state().next_sequence++;
  module.record.accepted = now_.wall;
  module.record.expires = now_.wall + setup.ttl;
  module.record.container = container->record.id;
  module.record.slot = slot;
  module.artifact = setup.cached;
  module.since = now_.monotonic;
  module.waiting = {setup.request};
  module.answer_by = now_.monotonic + kAnswerWait;
  remember(setup.key.publisher, setup.stamp, module.record.sequence);
  keep(PutModule{module.record});
  tell(Happened::What::kAccepted, module,
       fmt::format("ttl {} s", std::chrono::duration_cast<std::chrono::seconds>(setup.ttl).count()));
  transition(module, ModuleEvent::kSetup);
}

void Stepper::refresh(const Setup& setup, Module& module) {
  module.record.expires = now_.wall + setup.ttl;
  bool changed = !(module.record.spec == setup.spec);
  if (changed) {
    if (module.state == ModuleState::kActive && !module.fallback) module.fallback = module.record.spec;
    module.record.spec = setup.spec;
    Container* container = find(module.record.container);
    if (module.loaded && container) update(*container, module);
  }
  remember(setup.key.publisher, setup.stamp, module.record.sequence);
  keep(PutModule{module.record});
  tell(Happened::What::kRefreshed, module, changed ? "filters and properties replaced" : "ttl");
  if (in_progress(module)) {
    module.waiting.push_back(setup.request);
    if (!module.answer_by) module.answer_by = now_.monotonic + kAnswerWait;
    return;
  }
  answer(setup.request, StatusCode::kRefreshed, setup.key.module.value(), "refreshed", setup.key,
         std::string(to_string(module.state)));
}

void Stepper::on(const Remove& remove) {
  ModuleKey key{remove.publisher, ModuleId(remove.id)};
  if (answered_as_seen(remove.request, key, remove.stamp)) return;
  if (!remove.stamp.nonce.empty())
    if (auto error = too_many_nonces(remove.publisher, 2 * kMostNonces)) return answer(remove.request, *error, remove.id);
  remember(remove.publisher, remove.stamp, 0);
  bool pending = false;
  for (auto& [module_key, module] : state().modules) {
    if (module_key.publisher != remove.publisher) continue;
    if (module_key.module.value() != remove.id && module_name(module_key.module) != remove.id) continue;
    uninstall(module, Happened::What::kRemoved, "REMOVE");
    module.removals.push_back(remove.request);
    pending = true;
  }
  if (!pending)
    answer(remove.request, StatusCode::kRemoved, remove.id, "was not there", key,
           std::string(to_string(ModuleState::kUninstalled)));
}

void Stepper::on(const Drain& drain) {
  if (state().switches.draining != drain.on) {
    state().switches.draining = drain.on;
    keep(PutSwitches{state().switches});
    tell(Happened::What::kDraining, drain.on ? "on" : "off");
    if (state().forwarder_up) act(SendForwarder{ipc::SetDrain{drain.on}});
  }
  answer(drain.request, StatusCode::kOk, "node", drain.on ? "draining" : "not draining", {}, "");
}

void Stepper::on(const Enable& enable) {
  auto& disabled = state().switches.disabled;
  if (enable.on == (disabled.count(enable.publisher) != 0)) {
    if (enable.on)
      disabled.erase(enable.publisher);
    else
      disabled.insert(enable.publisher);
    keep(PutSwitches{state().switches});
    Container who;
    who.record.publisher = enable.publisher;
    tell(Happened::What::kPublisherDisabled, who, enable.on ? "enabled" : "disabled");
  }
  answer(enable.request, StatusCode::kOk, enable.publisher.value(), enable.on ? "enabled" : "disabled", {}, "");
}

// What is installed against a configuration that may be another than the one it was accepted under. Of too many
// modules the oldest stay.
void Stepper::hold_to_settings(const std::map<ModuleKey, Error>& refused) {
  const auto& grants = state().settings.publishers;
  std::vector<Module*> by_age;
  for (auto& [key, module] : state().modules)
    if (!module.removing) by_age.push_back(&module);
  std::sort(by_age.begin(), by_age.end(), [](const Module* a, const Module* b) { return a->record.sequence < b->record.sequence; });
  std::map<PublisherId, std::uint32_t> count;
  for (Module* module : by_age) {
    ModuleRecord& record = module->record;
    auto grant = grants.find(record.key.publisher);
    if (grant == grants.end()) {
      uninstall(*module, Happened::What::kRemoved, "its publisher is no longer in the configuration");
      continue;
    }
    std::optional<Error> error = manifest_refusal(*module);
    if (auto it = refused.find(record.key); it != refused.end()) error = it->second;
    bool counts = !record.failure;  // as for a SETUP
    if (!error && counts && count[record.key.publisher] >= grant->second.max_modules)
      error = node::refused(StatusCode::kLimitExceeded, "modules", fmt::format("at most {} of a publisher", grant->second.max_modules));
    if (error) {
      uninstall(*module, Happened::What::kRemoved, "the configuration no longer allows it: " + error->message(),
                static_cast<std::uint16_t>(error->code));
      continue;
    }
    count[record.key.publisher] += counts;
    if (record.expires <= now_.wall + grant->second.max_ttl) continue;
    record.expires = now_.wall + grant->second.max_ttl;
    keep(PutModule{record});
    tell(Happened::What::kRefreshed, *module,
         fmt::format("the configuration cuts its ttl to {} s", std::chrono::duration_cast<std::chrono::seconds>(grant->second.max_ttl).count()));
  }
}

void Stepper::on(const Reloaded& reloaded) {
  const std::map<PublisherId, Grant> before = state().settings.publishers;
  state().settings = reloaded.settings;
  const auto& grants = state().settings.publishers;
  hold_to_settings(reloaded.refused);
  for (auto& [id, container] : state().containers) {
    auto grant = grants.find(container.record.publisher);
    auto old = before.find(container.record.publisher);
    bool changed = grant != grants.end() && (old == before.end() || !(grant->second == old->second));
    if (!changed) continue;
    // Configure it again; a ring that is in use stays in use.
    if (container.ring_attached)
      container.configured = false;
    else
      forget_rings(container);
  }
  tell(Happened::What::kReloaded);
}

void Stepper::on(const Tick&) {
  for (auto& [key, module] : state().modules)
    if (!module.removing && module.record.expires <= now_.wall) uninstall(module, Happened::What::kExpired, "ttl ended");
  bool pruned = false;
  for (auto it = state().nonces.begin(); it != state().nonces.end();) {
    bool old = it->second.until < now_.wall;
    pruned |= old;
    it = old ? state().nonces.erase(it) : std::next(it);
  }
  if (pruned) keep(DeleteNonces{now_.wall});
  time_out();
}

}  // namespace netserv::node
