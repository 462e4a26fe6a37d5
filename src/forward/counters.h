// Every packet is counted once by what became of it. Metric names are the enumerators' names in to_string();
// ForwarderStats carries them. Two sums always hold (forwarder_test.cc checks them after every step):
//   node:      packets_in == in_flight + passed_by_* + processed_* + lost_in_container + dropped_fail_closed
//   container: submitted == in_flight + answered_* + lost
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace netserv::forward {

enum class NodeCounter : std::uint8_t {
  kPacketsIn,            // packets_in: given by the plane
  kBytesIn,              // bytes_in: their IP lengths
  kPassedNoMatch,        // passed_by_no_match: no filter matched (kernel rules are coarser than filters)
  kPassedObserved,       // passed_by_observed: only observers matched; copies were made
  kPassedUnparsable,     // passed_by_unparsable: no sound IP packet
  kPassedFragment,       // passed_by_fragment
  kPassedOversize,       // passed_by_oversize: longer than a slot
  kPassedSignalling,     // passed_by_signalling: UDP port 270, never a module's
  kPassedReserved,       // passed_by_reserved: to the node itself or its management, never a module's
  kPassedDrain,          // passed_by_drain: kill switch
  kPassedTableFull,      // passed_by_table_full: more in flight than the forwarder keeps
  kPassedAbsent,         // passed_by_absent: matched, container has no (sound) ring
  kPassedStalled,        // passed_by_stalled: matched, container does not answer
  kPassedRingFull,       // passed_by_ring_full: matched, no free slot
  kPassedSkipped,        // passed_by_skipped: container answered that no module looked (trapped, restarting)
  kProcessedPassed,      // processed_passed: some container's verdict; left as it came
  kProcessedChanged,     // processed_changed: left changed
  kProcessedDropped,     // processed_dropped
  kProcessedReplied,     // processed_replied
  kProcessedStolen,      // processed_stolen
  kLostInContainer,      // lost_in_container: no verdict came (death, stall, new ring); passed on as received
  kDroppedFailClosed,    // dropped_fail_closed: no verdict, and the filter asked for fail-closed
  kEmitted,              // emitted: packets of modules' own making that were sent
  kEmitFailed,           // emit_failed: the plane could not send one
  kChainCut,             // chain_cut: matched more containers than a chain holds; the last ones left out
  kCount
};

enum class ContainerCounter : std::uint8_t {
  kSubmitted,          // submitted: packets put into the ring, copies not counted
  kAnsweredPass,       // answered_pass
  kAnsweredDrop,       // answered_drop
  kAnsweredReply,      // answered_reply
  kAnsweredSteal,      // answered_steal
  kAnsweredSkipped,    // answered_skipped
  kLost,               // lost: no answer, released
  kChanged,            // changed: accepted changes, replies among them
  kRefusedUnparsable,  // refused_unparsable: changed or emitted packet is no sound IP packet of that family
  kRefusedSource,      // refused_source: source neither as it was nor authorised
  kRefusedDestination, // refused_destination
  kRefusedRate,        // refused_rate: reply or emitted packet over the publisher's rate
  kRefusedBandwidth,   // refused_bandwidth: reply, emitted packet or growing change over the publisher's bytes a second
  kRefusedUnchanged,   // refused_unchanged: reply that was not flagged as changed
  kRefusedRoom,        // refused_room: longer than the plane's buffer
  kRefusedSignalling,  // refused_signalling: UDP port 270 is the node's
  kRefusedTtl,         // refused_ttl: changed packet with a higher TTL than it came with
  kRefusedDisabled,    // refused_disabled: emitted while draining, or while the container is disabled
  kEmitted,            // emitted
  kCopies,             // copies: given to observers
  kCopiesLost,         // copies_lost: no room, or never answered
  kCopiesSampledOut,   // copies_sampled_out
  kBypassedAbsent,     // bypassed_absent
  kBypassedStalled,    // bypassed_stalled
  kBypassedRingFull,   // bypassed_ring_full
  kStalls,             // stalls
  kCount
};

std::string_view to_string(NodeCounter counter);
std::string_view to_string(ContainerCounter counter);

template <class Enum>
class CounterSet {
 public:
  void add(Enum counter, std::uint64_t n = 1) { values_[static_cast<std::size_t>(counter)] += n; }
  std::uint64_t operator[](Enum counter) const { return values_[static_cast<std::size_t>(counter)]; }
  std::map<std::string, std::uint64_t> named() const {
    std::map<std::string, std::uint64_t> out;
    for (std::size_t i = 0; i < values_.size(); ++i) out[std::string(to_string(static_cast<Enum>(i)))] = values_[i];
    return out;
  }

 private:
  std::array<std::uint64_t, static_cast<std::size_t>(Enum::kCount)> values_{};
};
using NodeCounters = CounterSet<NodeCounter>;
using ContainerCounters = CounterSet<ContainerCounter>;

// Packets that have ended, by the node's counters: equals packets_in less those in flight.
std::uint64_t ended(const NodeCounters& counters);
// Submitted packets that have come back or been given up.
std::uint64_t ended(const ContainerCounters& counters);

}  // namespace netserv::forward
