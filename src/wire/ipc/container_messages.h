// Control protocol between netservd and a container, over the seqpacket socket in the container's run folder.
// netservd connects (again, after a restart of its own); one message a datagram, at most kMaxMessageBytes.
// The container is a stranger: netservd believes nothing it says beyond its own modules' state.
//
// netservd -> container          container -> netservd
//   Hello                          Welcome (protocol version, runtime, modules, rings that it can map)
//   AttachRing + fds               RingAttached
//   LoadModule                     ModuleLoaded or ModuleFailed
//   UpdateModule                   ModuleUpdated
//   UnloadModule                   ModuleUnloaded (also if it was absent)
//   GetStatus                      ContainerStatus: as soon as it is not what this connection was told last
//                                  ModuleTrapped, ModuleRestarted, ModuleLog: unasked
//
// A container outlives the netservd that started it, and may then meet one of the release before or after. Hello has
// one form in all versions. The container answers in the version that Hello names, as far as it understands that one;
// netservd adopts it if that is one of its own, and from then on both keep to it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"

namespace netserv::ipc {

inline constexpr std::uint32_t kContainerProtocol = 3;
inline constexpr std::uint32_t kOldestContainerProtocol = 2;  // still understood: it has no Welcome::rings
inline constexpr std::size_t kMaxMessageBytes = 128 * 1024;

// Both ends included.
struct VersionRange {
  std::uint32_t oldest = 0, newest = 0;
  constexpr bool covers(std::uint32_t version) const { return oldest <= version && version <= newest; }
  bool operator==(const VersionRange&) const = default;
  template <class A> void fields(A& a) { a(oldest, newest); }
};
inline constexpr VersionRange kContainerProtocols{kOldestContainerProtocol, kContainerProtocol};

struct Hello {
  std::uint32_t protocol = kContainerProtocol;
  bool operator==(const Hello&) const = default;
  template <class A> void fields(A& a) { a(protocol); }
};

// Carries three descriptors for each ring (as many as the forwarder has workers): the ring file, the container's
// wake-up eventfd, the forwarder's. Replaces the rings before at a batch boundary; packets still in the old ones are
// lost to modules (the forwarder counts them).
struct AttachRing {
  std::uint64_t generation = 0;  // chosen by netservd, echoed
  bool operator==(const AttachRing&) const = default;
  template <class A> void fields(A& a) { a(generation); }
};

struct LoadModule {
  ModuleId module;
  ModuleSlot slot;
  std::string object;  // file name within the container's module cache mount
  std::int32_t order = 0;  // lower runs earlier; equal orders run in order of age
  std::uint64_t age = 0;   // installation sequence number, unique on the node
  std::map<std::string, std::string> properties;
  std::vector<std::string> blocks;
  std::uint32_t memory_pages = 0;
  bool operator==(const LoadModule&) const = default;
  template <class A> void fields(A& a) { a(module, slot, object, order, age, properties, blocks, memory_pages); }
};

struct UpdateModule {
  ModuleId module;
  std::int32_t order = 0;
  std::map<std::string, std::string> properties;
  bool operator==(const UpdateModule&) const = default;
  template <class A> void fields(A& a) { a(module, order, properties); }
};

struct UnloadModule {
  ModuleId module;
  bool operator==(const UnloadModule&) const = default;
  template <class A> void fields(A& a) { a(module); }
};

struct GetStatus {
  bool operator==(const GetStatus&) const = default;
  template <class A> void fields(A& a) { a(); }
};

using ToContainer = std::variant<Hello, AttachRing, LoadModule, UpdateModule, UnloadModule, GetStatus>;

enum class ModuleHealth : std::uint8_t { kRunning, kBackingOff };
constexpr ModuleHealth last_value(ModuleHealth) { return ModuleHealth::kBackingOff; }

struct ModuleStatus {
  ModuleId module;
  ModuleSlot slot;
  std::string object;
  ModuleHealth health = ModuleHealth::kRunning;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  std::uint64_t passed = 0, dropped = 0, replied = 0, stolen = 0, changed = 0, emitted = 0, emit_refused = 0;
  std::uint64_t traps = 0, restarts = 0;
  std::uint64_t cpu_ns = 0;
  std::uint64_t log_lines_suppressed = 0;
  std::map<std::string, std::uint64_t> counters;  // block counters/1
  bool operator==(const ModuleStatus&) const = default;
  template <class A> void fields(A& a) {
    a(module, slot, object, health, packets, bytes, passed, dropped, replied, stolen, changed, emitted,
      emit_refused, traps, restarts, cpu_ns, log_lines_suppressed, counters);
  }
};

struct Welcome {
  std::uint32_t protocol = kContainerProtocol;
  std::string runtime;  // "wasm"
  std::uint64_t ring_generation = 0;  // 0: no ring attached yet
  std::vector<ModuleStatus> modules;
  VersionRange rings{3, 3};  // that it can map; what containers of protocol 2 can
  bool operator==(const Welcome&) const = default;
  template <class A> void fields(A& a) {
    a(protocol, runtime, ring_generation, modules);
    if (protocol >= 3) a(rings);
  }
};

struct RingAttached {
  std::uint64_t generation = 0;
  std::string error;  // empty: attached
  bool operator==(const RingAttached&) const = default;
  template <class A> void fields(A& a) { a(generation, error); }
};

struct ModuleLoaded {
  ModuleId module;
  bool operator==(const ModuleLoaded&) const = default;
  template <class A> void fields(A& a) { a(module); }
};

struct ModuleFailed {
  ModuleId module;
  std::string reason;
  bool operator==(const ModuleFailed&) const = default;
  template <class A> void fields(A& a) { a(module, reason); }
};

struct ModuleUpdated {
  ModuleId module;
  std::string error;  // empty: done
  bool operator==(const ModuleUpdated&) const = default;
  template <class A> void fields(A& a) { a(module, error); }
};

struct ModuleUnloaded {
  ModuleId module;
  bool operator==(const ModuleUnloaded&) const = default;
  template <class A> void fields(A& a) { a(module); }
};

struct ContainerStatus {
  std::uint64_t batches = 0, packets = 0;
  std::uint64_t batch_size_buckets[8] = {};  // 1, 2, 3-4, 5-8, 9-16, 17-32, 33-64, more
  std::vector<ModuleStatus> modules;
  bool operator==(const ContainerStatus&) const = default;
  template <class A> void fields(A& a) {
    a(batches, packets);
    for (auto& bucket : batch_size_buckets) a(bucket);
    a(modules);
  }
};

struct ModuleTrapped {
  ModuleId module;
  std::string reason;
  std::uint32_t restart_after_ms = 0;
  bool operator==(const ModuleTrapped&) const = default;
  template <class A> void fields(A& a) { a(module, reason, restart_after_ms); }
};

struct ModuleRestarted {
  ModuleId module;
  bool operator==(const ModuleRestarted&) const = default;
  template <class A> void fields(A& a) { a(module); }
};

struct ModuleLog {
  ModuleId module;
  std::uint8_t level = 1;  // 0 debug .. 3 error
  std::string text;
  bool operator==(const ModuleLog&) const = default;
  template <class A> void fields(A& a) { a(module, level, text); }
};

using FromContainer = std::variant<Welcome, RingAttached, ModuleLoaded, ModuleFailed, ModuleUpdated, ModuleUnloaded,
                                   ContainerStatus, ModuleTrapped, ModuleRestarted, ModuleLog>;

}  // namespace netserv::ipc
