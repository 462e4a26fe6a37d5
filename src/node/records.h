// What the controller knows. Everything here is a value: the state of a node can be copied and compared.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "node/module_state.h"
#include "wire/filter.h"
#include "wire/ipc/container_messages.h"
#include "wire/ipc/forwarder_messages.h"

namespace netserv::node {

// Names a request until it is answered, exactly once.
using RequestId = StrongId<struct RequestTag, std::uint64_t>;

struct Now {
  TimePoint monotonic;  // back-off, deadlines
  WallTime wall;        // ttl and nonces: they run on across restarts
};

struct ModuleKey {
  PublisherId publisher;
  ModuleId module;
  auto operator<=>(const ModuleKey&) const = default;
};
// "NetMonitor" of "NetMonitor_1.0.0"; the whole id if it has no version.
std::string module_name(const ModuleId& id);

// netserv.* properties.
struct ModuleOptions {
  std::int32_t order = 0;
  enum class Mode : std::uint8_t { kAsManifest, kInPath, kObserve };
  Mode mode = Mode::kAsManifest;
  bool fail_closed = false;
  std::uint16_t snap_length = 0;
  std::uint32_t sample_one_in = 1;
  bool operator==(const ModuleOptions&) const = default;
  template <class A> void fields(A& a) { a(order, mode, fail_closed, snap_length, sample_one_in); }
};

constexpr ModuleOptions::Mode last_value(ModuleOptions::Mode) { return ModuleOptions::Mode::kObserve; }

// What a SETUP asks for, after policy.
struct ModuleSpec {
  std::string url;
  std::string digest;  // sha-256 in hex; empty where the configuration does not require one
  std::vector<Filter> filters;
  std::map<std::string, std::string> properties;  // the module's own
  ModuleOptions options;
  std::vector<std::string> dependencies;  // "packet/1"
  std::string notification;               // URL or empty
  bool operator==(const ModuleSpec&) const = default;
  template <class A> void fields(A& a) {
    a(url, digest, filters, properties, options, dependencies, notification);
  }
};

// A compiled module in the cache, already linked into its publisher's folder.
struct Artifact {
  std::string object;  // file name in the publisher's folder
  std::string name, version;  // of its manifest; empty: not known (adopted, and gone from the cache)
  std::string runtime = "wasm";
  std::vector<std::string> blocks;  // that its manifest asks for
  bool observer = false;            // it only watches
  std::uint32_t memory_pages = 0;
  bool operator==(const Artifact&) const = default;
};

struct StoredFailure {
  std::uint16_t code = 0;
  std::string subject, text;
  bool operator==(const StoredFailure&) const = default;
  template <class A> void fields(A& a) { a(code, subject, text); }
};

// The part of a module that outlives the process.
struct ModuleRecord {
  ModuleKey key;
  ModuleSpec spec;
  std::uint64_t sequence = 0;  // order of acceptance: age, and the name of this very installation
  WallTime accepted, expires;
  ContainerId container;
  ModuleSlot slot;
  bool confirmed = false;  // has been ACTIVE
  std::optional<StoredFailure> failure;
  bool operator==(const ModuleRecord&) const = default;
};

struct ContainerRecord {
  ContainerId id;
  PublisherId publisher;
  std::string runtime = "wasm";
  bool operator==(const ContainerRecord&) const = default;
};

inline constexpr std::uint64_t kRefusedSequence = 0x7fff'ffff'ffff'ffff;  // of a SETUP that was refused

struct NonceRecord {
  std::string fingerprint;  // of the whole message
  WallTime until;
  std::uint64_t sequence = 0;  // of the installation that it made or changed; 0: a REMOVE; kRefusedSequence
  bool operator==(const NonceRecord&) const = default;
};
using NonceKey = std::pair<PublisherId, std::string>;

// The operator's switches.
struct Switches {
  bool draining = false;
  std::set<PublisherId> disabled;
  bool operator==(const Switches&) const = default;
};

struct Module {
  ModuleRecord record;
  ModuleState state = ModuleState::kInstalling;
  std::optional<Artifact> artifact;
  enum class Work : std::uint8_t { kNone, kFetching, kFetched, kCompiling };
  Work work = Work::kNone;
  bool loading = false;    // LoadModule is on its way
  bool loaded = false;     // the container has it
  bool unloading = false;  // UnloadModule is on its way
  bool removing = false;   // no longer in the store
  bool backing_off = false;
  unsigned updates = 0;                  // UpdateModule that its container has not answered yet
  std::optional<TimePoint> trap_told, restart_told;  // when the last trap was told that was, with its restart
  std::optional<TimePoint> deadline;     // for the container's answer
  std::optional<ModuleSpec> fallback;    // to go back to if the forwarder refuses the filters of a refresh
  std::vector<RequestId> waiting;        // SETUPs to answer once it is ACTIVE or takes longer
  std::vector<RequestId> removals;       // REMOVEs to answer once it is gone
  std::optional<TimePoint> answer_by;    // for `waiting`
  TimePoint since;                       // when this process took it up
  std::uint64_t traps = 0, restarts = 0;
  bool operator==(const Module&) const = default;
};

struct Container {
  ContainerRecord record;
  enum class Phase : std::uint8_t { kDown, kStarting, kUp, kStopping };
  Phase phase = Phase::kDown;
  std::uint64_t life = 0;               // its last start; unique in this process
  unsigned failures = 0;                // in a row
  std::optional<TimePoint> restart_at;  // kDown after a death
  std::optional<TimePoint> up_since;
  std::optional<TimePoint> idle_since;
  std::optional<TimePoint> stalled_since;
  // As agreed on this connection to the forwarder:
  bool at_forwarder = false;  // the forwarder may know it
  bool configured = false;
  bool has_ring = false;
  std::uint64_t ring_generation = 0;
  bool ring_attached = false;
  ipc::VersionRange rings;  // that it can map
  std::optional<std::vector<ipc::ModuleFilter>> filters_sent;
  std::uint64_t filters_generation = 0;  // of filters_sent
  std::vector<std::uint64_t> filters_for;  // installations in filters_sent, by sequence
  bool filters_pending = false;
  std::optional<TimePoint> filters_deadline;
  std::vector<ipc::ModuleFilter> filters_in_force;
  bool operator==(const Container&) const = default;
};

// What a publisher may have, from the configuration.
struct Grant {
  std::int32_t priority = 0;
  std::vector<Prefix> authorised;  // destinations
  std::uint32_t emit_packets_per_second = 0;
  std::uint64_t send_bytes_per_second = 0;
  std::vector<std::string> blocks;
  std::uint32_t max_modules = 8;
  std::uint32_t max_memory_pages = 256;
  Duration max_ttl = std::chrono::hours(24);
  bool operator==(const Grant&) const = default;
};

// Replaced as a whole by a reload.
struct Settings {
  std::string node_address;
  std::map<PublisherId, Grant> publishers;
  std::vector<std::string> blocks;  // that this node has
  unsigned parallel_installs = 2;
  Duration container_idle = std::chrono::seconds(60);
  // Container n has address n modulo this many; two that share one are never there together. 0: no bound.
  std::uint32_t container_addresses = 0;
  bool operator==(const Settings&) const = default;
};

struct State {
  Settings settings;
  Switches switches;
  std::map<ModuleKey, Module> modules;
  std::map<ContainerId, Container> containers;
  std::map<NonceKey, NonceRecord> nonces;
  std::uint64_t next_sequence = 1;
  std::uint32_t next_container = 1;
  std::uint64_t next_generation = 1;  // of rings and filters; unique in this process
  bool forwarder_up = false;
  TimePoint forwarder_lost;  // or this process's start; its filters may outlive the connection
  std::string plane, plane_detail, plane_reason;
  std::uint32_t workers = 1;       // of the forwarder
  std::uint32_t ring_version = 0;  // of the rings that the forwarder makes
  bool operator==(const State&) const = default;
};

}  // namespace netserv::node
