// The life of a module, as OSGi names it (paper section 2.4), with INSTALLING and FAILED added:
//
//   INSTALLING   accepted; being downloaded and compiled
//   INSTALLED    its object is on the node
//   RESOLVED     its blocks, limits and place are granted; not running (also: waiting for its container)
//   STARTING     the container loads it, then its filters are placed
//   ACTIVE       it runs and its filters are in force
//   STOPPING     its filters are being taken away, then it is unloaded
//   UNINSTALLED  gone
//   FAILED       it did not get there, or trapped too often; kept until its ttl ends so that PROBE can say why
//
// docs/module-states.dot is drawn from the same table (module_state_test.cc compares).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace netserv::node {

enum class ModuleState : std::uint8_t {
  kUninstalled, kInstalling, kInstalled, kResolved, kStarting, kActive, kStopping, kFailed
};
inline constexpr int kModuleStates = 8;

enum class ModuleEvent : std::uint8_t {
  kSetup,          // a SETUP was accepted
  kPrepared,       // downloaded, verified, compiled; or found in the cache
  kAdmitted,       // policy grants what its manifest asks for
  kStart,          // its container is there: load it
  kStarted,        // loaded, and its filters are in force
  kStop,           // the operator disabled its publisher
  kUninstall,      // REMOVE, expiry, replaced by a newer version, publisher gone
  kUnloaded,       // the container let go of it; it is to stay installed
  kGone,           // the container let go of it; it is to be removed
  kContainerLost,  // its container died
  kFail,           // with a reason, kept beside the state
};
inline constexpr int kModuleEvents = 11;

std::string_view to_string(ModuleState state);
std::string_view to_string(ModuleEvent event);

// Nothing: the event cannot happen in this state, which is a mistake of ours.
std::optional<ModuleState> next_state(ModuleState state, ModuleEvent event);

// For the golden test and the docs.
std::string module_state_table();
std::string module_state_dot();

}  // namespace netserv::node
