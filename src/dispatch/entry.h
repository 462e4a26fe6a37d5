// A module as the dispatcher keeps it. Private to this folder.
#pragma once

#include <algorithm>

#include "dispatch/dispatcher.h"

namespace netserv::dispatch {

struct Dispatcher::Timer {
  std::uint32_t id = 0;
  TimePoint due{};
  Duration repeat{};
};

struct Dispatcher::Entry {
  ModuleSpec spec;
  std::int32_t order = 0;
  std::uint64_t age = 0;
  std::unique_ptr<Module> module;  // none: backing off
  ipc::ModuleStatus status;        // counters are kept over restarts
  std::vector<Timer> timers;

  TimePoint started_at{};
  TimePoint restart_at{};
  Duration next_back_off = kFirstBackOff;

  unsigned log_credit = kLogBurst;
  TimePoint log_credit_at{};
  std::uint64_t suppressed_since_line = 0;

  std::uint64_t bit() const { return std::uint64_t{1} << spec.slot.value(); }
};

// Runs one call into a module. False if it trapped; the module is then discarded. The time is the thread's time
// in the module, by the monotonic clock: a thread clock costs a system call each way.
template <class Call>
bool Dispatcher::guarded(Entry& entry, Call&& call) {
  TimePoint before = surroundings_.now();
  Module::Run run = call(*entry.module);
  entry.status.cpu_ns += static_cast<std::uint64_t>((surroundings_.now() - before).count());
  if (run) return true;
  discard(entry, std::string(to_string(run.error().kind)) + ": " + run.error().text);
  return false;
}

}  // namespace netserv::dispatch
