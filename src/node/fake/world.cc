#include "node/fake/world.h"

#include <algorithm>

namespace netserv::node::fake {

Status FakeStore::commit(std::span<const StoreChange> changes) {
  if (full) return fail(Origin::kSystem, "database", "the disk is full");
  for (const StoreChange& change : changes) {
    if (auto* c = std::get_if<PutModule>(&change)) {
      modules[c->module.key] = c->module;
      next_sequence = std::max(next_sequence, c->module.sequence + 1);
    }
    if (auto* c = std::get_if<DeleteModule>(&change)) modules.erase(c->key);
    if (auto* c = std::get_if<PutContainer>(&change)) {
      containers[c->container.id] = c->container;
      next_container = std::max(next_container, c->container.id.value() + 1);
    }
    if (auto* c = std::get_if<DeleteContainer>(&change)) containers.erase(c->container);
    if (auto* c = std::get_if<PutNonce>(&change)) nonces[c->key] = c->nonce;
    if (auto* c = std::get_if<DeleteNonces>(&change))
      std::erase_if(nonces, [&](const auto& n) { return n.second.until < c->until; });
    if (auto* c = std::get_if<PutSwitches>(&change)) switches = c->switches;
  }
  return {};
}

Snapshot FakeStore::snapshot() const {
  Snapshot s;
  for (const auto& [key, m] : modules) s.modules.push_back(m);
  for (const auto& [id, c] : containers) s.containers.push_back(c);
  s.nonces = nonces;
  s.switches = switches;
  s.next_sequence = next_sequence;
  s.next_container = next_container;
  return s;
}

void World::perform(const Action& action) {
  if (actions_until_crash == 0) return;
  if (actions_until_crash > 0) --actions_until_crash;
  performed.push_back(action);
  std::visit([&](const auto& a) { act(a); }, action);
}

void World::act(const Fetch& a) {
  if (bad_urls.count(a.url)) {
    inbox.push_back(Fetched{a.key, a.sequence, ncm::refuse(ncm::StatusCode::kFetchFailed, "url", "404")});
    return;
  }
  inbox.push_back(Fetched{a.key, a.sequence, std::optional<Artifact>{}});
}

void World::act(const Compile& a) {
  Artifact artifact;
  artifact.object = a.key.module.value() + ".so";
  artifact.blocks = {"packet/1"};
  cache[a.key] = artifact;
  inbox.push_back(Compiled{a.key, a.sequence, artifact});
}

void World::act(const StartContainer& a) {
  ContainerId id = a.container.id;
  if (!containers_start) {
    inbox.push_back(ContainerGone{id, a.life, "does not start"});
    return;
  }
  FakeContainer& c = containers[id];
  if (!c.running) c.rings = {ring_version, ring_version};
  c.running = true;
  c.life = a.life;
  ipc::Welcome welcome;
  welcome.runtime = "wasm";
  welcome.rings = c.rings;
  for (const auto& [module, status] : c.modules) welcome.modules.push_back(status);
  inbox.push_back(ContainerUp{id, a.life, welcome});
}

void World::act(const StopContainer& a) {
  containers.erase(a.container.id);
  inbox.push_back(ContainerGone{a.container.id, a.life, "stopped"});
}

void World::act(const SendContainer& a) {
  auto it = containers.find(a.container);
  if (it != containers.end()) to(a.container, it->second, a.message);
}

void World::to(ContainerId id, FakeContainer& c, const ipc::ToContainer& message) {
  if (auto* m = std::get_if<ipc::AttachRing>(&message)) {
    forwarder[id].attached = m->generation;
    inbox.push_back(ContainerSaid{id, c.life, ipc::RingAttached{m->generation, ""}});
  }
  if (auto* m = std::get_if<ipc::LoadModule>(&message)) {
    for (const auto& [other, status] : c.modules)
      if (status.slot == m->slot && other != m->module) violations.push_back("slot taken: " + m->module.value());
    if (bad_objects.count(m->object)) {
      inbox.push_back(ContainerSaid{id, c.life, ipc::ModuleFailed{m->module, "start returned 7"}});
    } else {
      ipc::ModuleStatus status;
      status.module = m->module;
      status.slot = m->slot;
      status.object = m->object;
      c.modules[m->module] = status;
      inbox.push_back(ContainerSaid{id, c.life, ipc::ModuleLoaded{m->module}});
    }
  }
  if (auto* m = std::get_if<ipc::UpdateModule>(&message)) inbox.push_back(ContainerSaid{id, c.life, ipc::ModuleUpdated{m->module, ""}});
  if (auto* m = std::get_if<ipc::UnloadModule>(&message)) {
    if (auto it = c.modules.find(m->module); it != c.modules.end()) {
      if (forwarder_runs && forwarder.count(id))
        for (const ipc::ModuleFilter& f : forwarder[id].filters)
          if (f.slot == it->second.slot && !f.fail_closed) violations.push_back("unloaded under its filter: " + m->module.value());
      c.modules.erase(it);
    }
    inbox.push_back(ContainerSaid{id, c.life, ipc::ModuleUnloaded{m->module}});
  }
}

void World::act(const SendForwarder& a) {
  if (!forwarder_runs) return;
  if (auto* m = std::get_if<ipc::SetDrain>(&a.message)) draining = m->draining;
  if (auto* m = std::get_if<ipc::RemoveContainer>(&a.message)) forwarder.erase(m->container);
  if (auto* m = std::get_if<ipc::ConfigureContainer>(&a.message)) {
    auto& known = forwarder[m->container];
    known.emit_packets_per_second = m->emit_packets_per_second;
    if (m->keep_ring && known.attached != 0) return;
    known.attached = 0;
    inbox.push_back(ForwarderSaid{ipc::ContainerRing{m->container}});
  }
  if (auto* m = std::get_if<ipc::SetFilters>(&a.message)) {
    std::string error = forwarder_refuses ? "too many shapes" : "";
    if (error.empty()) {
      forwarder[m->container].filters = m->filters;
      for (const ipc::ModuleFilter& f : m->filters) {
        if (f.fail_closed) continue;
        const auto& modules = containers[m->container].modules;
        if (std::none_of(modules.begin(), modules.end(), [&](const auto& e) { return e.second.slot == f.slot; }))
          if (containers[m->container].running) violations.push_back("a filter for a module that is not there");
      }
    }
    inbox.push_back(ForwarderSaid{ipc::FiltersSet{m->container, m->generation, error}});
  }
  if (std::holds_alternative<ipc::GetForwarderStats>(a.message)) {
    ipc::ForwarderStats stats;
    for (const auto& [id, ring] : forwarder) stats.containers.push_back({id, {}});
    inbox.push_back(ForwarderSaid{stats});
  }
}

void World::act(const ResetForwarder& a) {
  inbox.push_back(ForwarderGone{a.reason});
  connect_forwarder();
}

void World::act(const Answer& a) {
  if (!answers.emplace(a.request, a.response).second) violations.push_back("answered twice");
}

void World::connect_forwarder() {
  if (!forwarder_runs) return;
  ipc::ForwarderWelcome welcome;
  welcome.plane = "fake";
  welcome.ring_version = ring_version;
  inbox.push_back(ForwarderUp{welcome});
}

void World::restart_forwarder() {
  forwarder.clear();
  draining = false;
  std::erase_if(inbox, [](const Event& e) { return std::holds_alternative<ForwarderSaid>(e) || std::holds_alternative<ForwarderUp>(e); });
  inbox.push_back(ForwarderGone{"killed"});
  connect_forwarder();
}

void World::kill_container(ContainerId id) {
  if (!containers.count(id) || !containers[id].running) return;
  const std::uint64_t life = containers[id].life;
  containers.erase(id);
  std::erase_if(inbox, [&](const Event& e) {
    auto* said = std::get_if<ContainerSaid>(&e);
    auto* up = std::get_if<ContainerUp>(&e);
    return (said && said->container == id) || (up && up->container == id);
  });
  inbox.push_back(ContainerGone{id, life, "killed"});
}

void World::forget_netservd() {
  inbox.clear();
  actions_until_crash = -1;
}

}  // namespace netserv::node::fake
