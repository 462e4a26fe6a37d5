// The controller's pure core (paper section 2.3): what a node does on each event. No clock, no system calls.
//
// How an installation goes. Policy has decided on the whole of a SETUP before it gets here: filters, place in the
// chain, limits. step() then works towards the wanted state, a stage at a time: fetch, compile, hold the manifest
// against the grant, container, load, filters. Nothing touches the kernel before the object is compiled and
// admitted, and filters come last; what fails is undone in the reverse order: filters, load, container.
// The same rule (reconcile.cc) that installs also adopts after a restart, brings back after a container's or the
// forwarder's death, and takes away: it compares what is wanted with what is known to be there.
//
// Invariants, held by node_property_test.cc under random events:
//  - a packet is never directed to a module that its container does not have, unless its filter is fail-closed;
//  - a module is unloaded only once no filter leads to it;
//  - each request is answered exactly once; container ids are never used again;
//  - after a crash between any two actions, recover() and the events that follow lead to the same node.
#pragma once

#include "node/actions.h"
#include "node/events.h"
#include "node/records.h"

namespace netserv::node {

inline constexpr Duration kAnswerWait = std::chrono::seconds(1);    // a SETUP's, for ACTIVE
inline constexpr Duration kContainerWait = std::chrono::seconds(10);  // for a load or unload
inline constexpr Duration kForwarderWait = std::chrono::seconds(5);
inline constexpr Duration kStallWait = std::chrono::seconds(5);     // then the container is restarted
inline constexpr Duration kBackOffFirst = std::chrono::milliseconds(100);
inline constexpr Duration kBackOffMost = std::chrono::seconds(60);
// Signed requests of a publisher that are remembered against replay, an hour at most; past it SETUPs are refused.
// REMOVE has as many again, so that what floods can still be taken away.
inline constexpr std::size_t kMostNonces = 2048;
inline constexpr unsigned kStartAttempts = 4;  // then a module that has never been ACTIVE fails

Step step(const State& state, const Event& event, const Now& now);

// What the store gave.
struct Snapshot {
  std::vector<ModuleRecord> modules;
  std::vector<ContainerRecord> containers;
  std::map<NonceKey, NonceRecord> nonces;
  Switches switches;
  std::uint64_t next_sequence = 1;
  std::uint32_t next_container = 1;
};
// The state to start from. `cached` holds what the cache has of the modules, by digest. Every container is looked
// for first (StartContainer adopts), so that what has kept running is found again.
// `refused`: as of Reloaded; the configuration may have changed meanwhile.
Step recover(const Snapshot& snapshot, Settings settings, const std::map<ModuleKey, Artifact>& cached,
             const std::map<ModuleKey, Error>& refused, const Now& now);

// How long nothing happens if no event comes.
Duration until_next_tick(const State& state, const Now& now);

}  // namespace netserv::node
