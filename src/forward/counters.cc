#include "forward/counters.h"

namespace netserv::forward {

std::string_view to_string(NodeCounter counter) {
  switch (counter) {
    case NodeCounter::kPacketsIn: return "packets_in";
    case NodeCounter::kBytesIn: return "bytes_in";
    case NodeCounter::kPassedNoMatch: return "passed_by_no_match";
    case NodeCounter::kPassedObserved: return "passed_by_observed";
    case NodeCounter::kPassedUnparsable: return "passed_by_unparsable";
    case NodeCounter::kPassedFragment: return "passed_by_fragment";
    case NodeCounter::kPassedOversize: return "passed_by_oversize";
    case NodeCounter::kPassedSignalling: return "passed_by_signalling";
    case NodeCounter::kPassedReserved: return "passed_by_reserved";
    case NodeCounter::kPassedDrain: return "passed_by_drain";
    case NodeCounter::kPassedTableFull: return "passed_by_table_full";
    case NodeCounter::kPassedAbsent: return "passed_by_absent";
    case NodeCounter::kPassedStalled: return "passed_by_stalled";
    case NodeCounter::kPassedRingFull: return "passed_by_ring_full";
    case NodeCounter::kPassedSkipped: return "passed_by_skipped";
    case NodeCounter::kProcessedPassed: return "processed_passed";
    case NodeCounter::kProcessedChanged: return "processed_changed";
    case NodeCounter::kProcessedDropped: return "processed_dropped";
    case NodeCounter::kProcessedReplied: return "processed_replied";
    case NodeCounter::kProcessedStolen: return "processed_stolen";
    case NodeCounter::kLostInContainer: return "lost_in_container";
    case NodeCounter::kDroppedFailClosed: return "dropped_fail_closed";
    case NodeCounter::kEmitted: return "emitted";
    case NodeCounter::kEmitFailed: return "emit_failed";
    case NodeCounter::kChainCut: return "chain_cut";
    case NodeCounter::kCount: break;
  }
  return "?";
}

std::string_view to_string(ContainerCounter counter) {
  switch (counter) {
    case ContainerCounter::kSubmitted: return "submitted";
    case ContainerCounter::kAnsweredPass: return "answered_pass";
    case ContainerCounter::kAnsweredDrop: return "answered_drop";
    case ContainerCounter::kAnsweredReply: return "answered_reply";
    case ContainerCounter::kAnsweredSteal: return "answered_steal";
    case ContainerCounter::kAnsweredSkipped: return "answered_skipped";
    case ContainerCounter::kLost: return "lost";
    case ContainerCounter::kChanged: return "changed";
    case ContainerCounter::kRefusedUnparsable: return "refused_unparsable";
    case ContainerCounter::kRefusedSource: return "refused_source";
    case ContainerCounter::kRefusedDestination: return "refused_destination";
    case ContainerCounter::kRefusedRate: return "refused_rate";
    case ContainerCounter::kRefusedBandwidth: return "refused_bandwidth";
    case ContainerCounter::kRefusedUnchanged: return "refused_unchanged";
    case ContainerCounter::kRefusedRoom: return "refused_room";
    case ContainerCounter::kRefusedSignalling: return "refused_signalling";
    case ContainerCounter::kRefusedTtl: return "refused_ttl";
    case ContainerCounter::kRefusedDisabled: return "refused_disabled";
    case ContainerCounter::kEmitted: return "emitted";
    case ContainerCounter::kCopies: return "copies";
    case ContainerCounter::kCopiesLost: return "copies_lost";
    case ContainerCounter::kCopiesSampledOut: return "copies_sampled_out";
    case ContainerCounter::kBypassedAbsent: return "bypassed_absent";
    case ContainerCounter::kBypassedStalled: return "bypassed_stalled";
    case ContainerCounter::kBypassedRingFull: return "bypassed_ring_full";
    case ContainerCounter::kStalls: return "stalls";
    case ContainerCounter::kCount: break;
  }
  return "?";
}

std::uint64_t ended(const NodeCounters& counters) {
  std::uint64_t sum = 0;
  for (auto i = static_cast<unsigned>(NodeCounter::kPassedNoMatch);
       i <= static_cast<unsigned>(NodeCounter::kDroppedFailClosed); ++i)
    sum += counters[static_cast<NodeCounter>(i)];
  return sum;
}

std::uint64_t ended(const ContainerCounters& counters) {
  std::uint64_t sum = 0;
  for (auto i = static_cast<unsigned>(ContainerCounter::kAnsweredPass);
       i <= static_cast<unsigned>(ContainerCounter::kLost); ++i)
    sum += counters[static_cast<ContainerCounter>(i)];
  return sum;
}

}  // namespace netserv::forward
