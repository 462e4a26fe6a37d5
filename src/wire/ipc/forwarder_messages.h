// Control protocol between netservd and the forwarder: a seqpacket socket on which the forwarder listens and
// netservd connects (again, after a restart of either). One message a datagram. The forwarder keeps no state on
// disk: after a restart netservd says everything again, and ConfigureContainer, SetFilters are idempotent.
//
// netservd -> forwarder            forwarder -> netservd
//   ForwarderHello                   ForwarderWelcome
//   ConfigureContainer               ContainerRing + fds (new rings if there were none)
//   RemoveContainer                  (nothing)
//   SetFilters                       FiltersSet
//   SetDrain                         (nothing)
//   SetReserved                      (nothing)
//   GetForwarderStats                ForwarderStats (a page; stats_pages.h)
//                                    ContainerStalled, ContainerResumed, RingCorrupted, PlaneProblem: unasked
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "wire/filter.h"

namespace netserv::ipc {

inline constexpr std::uint32_t kForwarderProtocol = 7;
inline constexpr std::size_t kMaxControlBytes = 128 * 1024;  // one message

struct ForwarderHello {
  std::uint32_t protocol = kForwarderProtocol;
  bool operator==(const ForwarderHello&) const = default;
  template <class A> void fields(A& a) { a(protocol); }
};

// What a container may do and where it stands in the chain across publishers: lower priority value first, then
// lower age. `authorised` are the publisher's destinations: what its modules may emit from (semantics.md).
struct ConfigureContainer {
  ContainerId container;
  std::string publisher;
  std::int32_t priority = 0;
  std::uint64_t age = 0;
  std::vector<Prefix> authorised;
  std::uint32_t emit_packets_per_second = 0;  // 0: may not emit or reply at all
  // Of replies, emitted packets and what changes add; 0: none.
  std::uint64_t send_bytes_per_second = 12'500'000;
  bool enabled = true;                        // false: its filters match nothing
  bool keep_ring = false;  // if it has a sound ring, keep it and send no ContainerRing
  bool operator==(const ConfigureContainer&) const = default;
  template <class A> void fields(A& a) {
    a(container, publisher, priority, age, authorised, emit_packets_per_second, send_bytes_per_second, enabled, keep_ring);
  }
};

struct RemoveContainer {
  ContainerId container;
  bool operator==(const RemoveContainer&) const = default;
  template <class A> void fields(A& a) { a(container); }
};

struct ModuleFilter {
  Filter filter;
  ModuleSlot slot;
  bool fail_closed = false;
  bool observer = false;          // copies only
  std::uint16_t snap_length = 0;  // observers: 0 = whole packet
  std::uint32_t sample_one_in = 1;
  bool operator==(const ModuleFilter&) const = default;
  template <class A> void fields(A& a) { a(filter, slot, fail_closed, observer, snap_length, sample_one_in); }
};

// Replaces all filters of one container, atomically as packets see it.
struct SetFilters {
  ContainerId container;
  std::uint64_t generation = 0;  // echoed
  std::vector<ModuleFilter> filters;
  bool operator==(const SetFilters&) const = default;
  template <class A> void fields(A& a) { a(container, generation, filters); }
};

// The operator's kill switch: while draining, no packet goes to any container.
struct SetDrain {
  bool draining = false;
  bool operator==(const SetDrain&) const = default;
  template <class A> void fields(A& a) { a(draining); }
};

// The node's management addresses: with those on its interfaces, which the forwarder knows, no module's business.
struct SetReserved {
  std::vector<Prefix> prefixes;
  bool operator==(const SetReserved&) const = default;
  template <class A> void fields(A& a) { a(prefixes); }
};

// From 0 on the counters are gathered anew; later pages are of the same moment.
struct GetForwarderStats {
  std::uint32_t from = 0;  // how many containers to leave out: ForwarderStats::next
  bool operator==(const GetForwarderStats&) const = default;
  template <class A> void fields(A& a) { a(from); }
};

using ToForwarder = std::variant<ForwarderHello, ConfigureContainer, RemoveContainer, SetFilters, SetDrain,
                                 GetForwarderStats, SetReserved>;

struct ForwarderWelcome {
  std::uint32_t protocol = kForwarderProtocol;
  std::string plane;         // "netfilter", "xdp", "fake"
  std::string plane_detail;  // how: "iptables NFQUEUE 0-1", "native", for people
  std::string plane_reason = {};  // why this one, for people
  std::uint32_t workers = 1;      // packet threads, each with receive queues of its own
  std::uint32_t ring_version = 3;  // of the rings that it makes
  bool operator==(const ForwarderWelcome&) const = default;
  template <class A> void fields(A& a) { a(protocol, plane, plane_detail, plane_reason, workers, ring_version); }
};

// Carries three descriptors for each worker's ring: the ring file, the container's wake-up eventfd, the forwarder's
// (ring/layout.h). If the container had rings already it gets new ones: the old ones' packets are counted as lost.
struct ContainerRing {
  ContainerId container;
  bool operator==(const ContainerRing&) const = default;
  template <class A> void fields(A& a) { a(container); }
};

struct FiltersSet {
  ContainerId container;
  std::uint64_t generation = 0;
  std::string error;  // empty: in force; else nothing was changed
  bool operator==(const FiltersSet&) const = default;
  template <class A> void fields(A& a) { a(container, generation, error); }
};

// Counters since the forwarder's start. Keys are metric names without prefix; one name a reason.
struct ContainerCounters {
  ContainerId container;
  std::map<std::string, std::uint64_t> counters;
  bool operator==(const ContainerCounters&) const = default;
  template <class A> void fields(A& a) { a(container, counters); }
};
struct ForwarderStats {
  std::map<std::string, std::uint64_t> node;
  std::vector<ContainerCounters> containers;  // in a message: at most kStatsContainers
  std::string plane_detail = {};  // as in ForwarderWelcome, but of now: interfaces change
  std::uint32_t from = 0;         // containers before these
  std::uint32_t next = 0;         // ask from there for more; 0: these are the last
  bool operator==(const ForwarderStats&) const = default;
  template <class A> void fields(A& a) { a(node, containers, plane_detail, from, next); }
};

// No answer within the stall limit: its packets pass by until it answers again.
struct ContainerStalled {
  ContainerId container;
  std::uint32_t in_flight = 0;
  bool operator==(const ContainerStalled&) const = default;
  template <class A> void fields(A& a) { a(container, in_flight); }
};
struct ContainerResumed {
  ContainerId container;
  bool operator==(const ContainerResumed&) const = default;
  template <class A> void fields(A& a) { a(container); }
};
// The ring's contents make no sense: the container is cut off until it is given a new one.
struct RingCorrupted {
  ContainerId container;
  std::string reason;
  bool operator==(const RingCorrupted&) const = default;
  template <class A> void fields(A& a) { a(container, reason); }
};
struct PlaneProblem {
  std::string text;
  bool operator==(const PlaneProblem&) const = default;
  template <class A> void fields(A& a) { a(text); }
};

using FromForwarder = std::variant<ForwarderWelcome, ContainerRing, FiltersSet, ForwarderStats, ContainerStalled,
                                   ContainerResumed, RingCorrupted, PlaneProblem>;

}  // namespace netserv::ipc
