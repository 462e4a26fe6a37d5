#include "node/module_state.h"

#include <fmt/format.h>

namespace netserv::node {

std::string_view to_string(ModuleState state) {
  switch (state) {
    case ModuleState::kUninstalled: return "UNINSTALLED";
    case ModuleState::kInstalling: return "INSTALLING";
    case ModuleState::kInstalled: return "INSTALLED";
    case ModuleState::kResolved: return "RESOLVED";
    case ModuleState::kStarting: return "STARTING";
    case ModuleState::kActive: return "ACTIVE";
    case ModuleState::kStopping: return "STOPPING";
    case ModuleState::kFailed: return "FAILED";
  }
  return "?";
}

std::string_view to_string(ModuleEvent event) {
  switch (event) {
    case ModuleEvent::kSetup: return "setup";
    case ModuleEvent::kPrepared: return "prepared";
    case ModuleEvent::kAdmitted: return "admitted";
    case ModuleEvent::kStart: return "start";
    case ModuleEvent::kStarted: return "started";
    case ModuleEvent::kStop: return "stop";
    case ModuleEvent::kUninstall: return "uninstall";
    case ModuleEvent::kUnloaded: return "unloaded";
    case ModuleEvent::kGone: return "gone";
    case ModuleEvent::kContainerLost: return "container-lost";
    case ModuleEvent::kFail: return "fail";
  }
  return "?";
}

std::optional<ModuleState> next_state(ModuleState state, ModuleEvent event) {
  using S = ModuleState;
  using E = ModuleEvent;
  switch (state) {
    case S::kUninstalled:
      if (event == E::kSetup) return S::kInstalling;
      break;
    case S::kInstalling:
      if (event == E::kPrepared) return S::kInstalled;
      if (event == E::kUninstall) return S::kUninstalled;
      if (event == E::kFail) return S::kFailed;
      break;
    case S::kInstalled:
      if (event == E::kAdmitted) return S::kResolved;
      if (event == E::kUninstall) return S::kUninstalled;
      if (event == E::kFail) return S::kFailed;
      break;
    case S::kResolved:
      if (event == E::kStart) return S::kStarting;
      if (event == E::kUninstall) return S::kUninstalled;
      if (event == E::kFail) return S::kFailed;
      break;
    case S::kStarting:
      if (event == E::kStarted) return S::kActive;
      if (event == E::kStop || event == E::kUninstall) return S::kStopping;
      if (event == E::kContainerLost) return S::kResolved;
      if (event == E::kFail) return S::kFailed;
      break;
    case S::kActive:
      if (event == E::kStop || event == E::kUninstall) return S::kStopping;
      if (event == E::kContainerLost) return S::kResolved;
      if (event == E::kFail) return S::kFailed;
      break;
    case S::kStopping:
      if (event == E::kUninstall) return S::kStopping;
      if (event == E::kUnloaded) return S::kResolved;
      if (event == E::kGone) return S::kUninstalled;
      break;
    case S::kFailed:
      if (event == E::kSetup) return S::kInstalling;
      if (event == E::kUninstall) return S::kUninstalled;
      break;
  }
  return std::nullopt;
}

std::string module_state_table() {
  std::string out;
  for (int s = 0; s < kModuleStates; ++s) {
    for (int e = 0; e < kModuleEvents; ++e) {
      auto state = static_cast<ModuleState>(s);
      auto event = static_cast<ModuleEvent>(e);
      auto next = next_state(state, event);
      out += fmt::format("{:<12} {:<15} {}\n", to_string(state), to_string(event), next ? to_string(*next) : "-");
    }
  }
  return out;
}

std::string module_state_dot() {
  std::string out = "digraph module_states {\n";
  for (int s = 0; s < kModuleStates; ++s) {
    for (int e = 0; e < kModuleEvents; ++e) {
      auto state = static_cast<ModuleState>(s);
      auto event = static_cast<ModuleEvent>(e);
      if (auto next = next_state(state, event))
        out += fmt::format("  {} -> {} [label=\"{}\"];\n", to_string(state), to_string(*next), to_string(event));
    }
  }
  return out + "}\n";
}

}  // namespace netserv::node
