// The workings of step(): one object a step. Private to src/node.
#pragma once

#include <ranges>
#include <string>

#include "node/step.h"

namespace netserv::node {

class Stepper {
 public:
  Stepper(const State& state, const Now& now) : now_(now) { out_.next = state; }
  Step finish() {
    reconcile();
    return std::move(out_);
  }

  // requests.cc
  void on(const Setup& setup);
  void on(const Refused& refused);
  void on(const Remove& remove);
  void on(const Drain& drain);
  void on(const Enable& enable);
  void on(const Reloaded& reloaded);
  void on(const Tick&);
  // results.cc
  void on(const Fetched& fetched);
  void on(const Compiled& compiled);
  void on(const ContainerUp& up);
  void on(const ContainerGone& gone);
  void on(const ContainerSaid& said);
  void on(const ForwarderUp& up);
  void on(const ForwarderGone& gone);
  void on(const ForwarderSaid& said);
  void take_up(const Snapshot& snapshot, Settings settings, const std::map<ModuleKey, Artifact>& cached,
               const std::map<ModuleKey, Error>& refused);

 private:
  State& state() { return out_.next; }
  Module* find(const ModuleKey& key);
  // The modules of one publisher lie together: nothing that concerns one publisher costs more because of others.
  auto modules_of(const PublisherId& publisher) {
    return std::ranges::subrange(state().modules.lower_bound({publisher, {}}), state().modules.end()) |
           std::views::take_while([publisher](const auto& entry) { return entry.first.publisher == publisher; });
  }
  Module* find(const ModuleKey& key, std::uint64_t sequence);
  Module* find(ContainerId container, const ModuleId& module);
  Container* find(ContainerId container);
  Container* find(ContainerId container, std::uint64_t life);
  template <class T>
  void act(T action) { out_.actions.emplace_back(std::move(action)); }
  template <class T>
  void keep(T change) { out_.changes.emplace_back(std::move(change)); }

  // requests.cc
  std::optional<Error> refusal(const Setup& setup);
  void refuse(const Refused& refused);
  void release_unused(const PublisherId& publisher, const std::optional<Artifact>& artifact);
  bool answered_as_seen(RequestId request, const ModuleKey& key, const Stamp& stamp);
  void remember(const PublisherId& publisher, const Stamp& stamp, std::uint64_t sequence);
  std::optional<Error> too_many_nonces(const PublisherId& publisher, std::size_t most) const;
  void install(const Setup& setup, Module* failed_before);
  void refresh(const Setup& setup, Module& module);
  Container* place_for(const PublisherId& publisher, const std::string& runtime, ModuleSlot& slot);
  void answer(RequestId request, ncm::StatusCode code, const std::string& object, std::string text,
              const ModuleKey& key, const std::string& state);
  void answer(RequestId request, const Error& error, const std::string& id);
  void answer_waiting(Module& module);
  void hold_to_settings(const std::map<ModuleKey, Error>& refused);
  std::string address() const { return out_.next.settings.node_address; }

  // results.cc
  void take_stock(Container& container, const ipc::Welcome& m);
  void said(Container& container, const ipc::Welcome& m);
  void said(Container& container, const ipc::RingAttached& m);
  void said(Container& container, const ipc::ModuleLoaded& m);
  void said(Container& container, const ipc::ModuleFailed& m);
  void said(Container& container, const ipc::ModuleUpdated& m);
  void said(Container& container, const ipc::ModuleUnloaded& m);
  void said(Container& container, const ipc::ContainerStatus& m);
  void said(Container& container, const ipc::ModuleTrapped& m);
  void said(Container& container, const ipc::ModuleRestarted& m);
  void said(Container& container, const ipc::ModuleLog& m);
  void said(const ipc::ForwarderWelcome& m);
  void said(const ipc::ContainerRing& m);
  void said(const ipc::FiltersSet& m);
  void said(const ipc::ForwarderStats& m);
  void said(const ipc::ContainerStalled& m);
  void said(const ipc::ContainerResumed& m);
  void said(const ipc::RingCorrupted& m);
  void said(const ipc::PlaneProblem& m);

  // transitions.cc
  void transition(Module& module, ModuleEvent event);
  void fail_module(Module& module, Error error);
  void uninstall(Module& module, Happened::What why, const std::string& text, std::uint16_t code = 0);
  void let_go(Module& module);  // the container has it no longer
  void update(Container& container, Module& module);  // order and properties, to where it is loaded
  void tell(Happened::What what, const Module& module, std::string text = {}, std::uint16_t code = 0);
  void tell(Happened::What what, const Container& container, std::string text = {});
  void tell(Happened::What what, std::string text = {});
  void stop_container(Container& container, const std::string& why);
  void forget_rings(Container& container);
  void forget_filters(Container& container);  // another connection to the forwarder

  // reconcile.cc
  void reconcile();
  void start_work();
  std::optional<Error> manifest_refusal(const Module& module) const;
  void admit(Module& module);
  void advance(Module& module);
  void load(Container& container, Module& module);
  bool slot_is_free(const Module& module);
  void tidy(Module& module);
  void run(Container& container);
  void agree_with_forwarder(Container& container);
  std::vector<ipc::ModuleFilter> wanted_filters(const Container& container, std::vector<std::uint64_t>& installations);
  void filters_confirmed(Container& container);
  bool filters_lead_to(const Container& container, const Module& module) const;
  bool superseded(const Module& module);
  bool enabled(const PublisherId& publisher);
  void erase_gone();
  void time_out();

  Now now_;
  Step out_;
};

}  // namespace netserv::node
