// Packets: from the plane through the chain and back. Containers' comings and goings are in lanes.cc.
#include "forward/forwarder.h"

#include <algorithm>
#include <utility>

#include "forward/lane.h"

namespace netserv::forward {
namespace {

constexpr std::size_t kBatch = 64;

PortMeta meta_of(const Packet& p, std::uint64_t modules, std::uint32_t flags) {
  return {p.original_length, p.received_ns, modules, p.ingress, p.vlan, flags, 0};
}

}  // namespace

void Forwarder::on_packets(std::span<const Packet> packets, TimePoint now) {
  for (const Packet& packet : packets) {
    counters_.add(NodeCounter::kPacketsIn);
    counters_.add(NodeCounter::kBytesIn, packet.original_length);
    start(packet, now);
  }
  flush();
}

std::optional<NodeCounter> Forwarder::passes_by(const Packet& packet,
                                                const std::optional<PacketHeaders>& headers) const {
  if (draining_) return NodeCounter::kPassedDrain;
  if (packet.original_length > kPortSlotBytes) return NodeCounter::kPassedOversize;
  if (!headers) return NodeCounter::kPassedUnparsable;
  if (headers->fragment) return NodeCounter::kPassedFragment;
  if (is_signalling(*headers)) return NodeCounter::kPassedSignalling;
  if (reserved_.contains(headers->destination)) return NodeCounter::kPassedReserved;
  return {};
}

void Forwarder::start(const Packet& packet, TimePoint now) {
  auto headers = parse_packet(packet.bytes());
  if (auto reason = passes_by(packet, headers)) return finish(packet, Fate::kPass, *reason);
  Chain chain;
  build_chain(packet, *headers, chain, now);
  if (chain.cut_closed) return finish(packet, Fate::kDrop, NodeCounter::kDroppedFailClosed);
  if (chain.count == 0)
    return finish(packet, Fate::kPass,
                  chain.observed ? NodeCounter::kPassedObserved : NodeCounter::kPassedNoMatch);
  if (free_flights_.empty()) {
    bool closed = std::any_of(chain.hits.begin(), chain.hits.begin() + chain.count,
                              [](const Hit& hit) { return hit.fail_closed; });
    return finish(packet, closed ? Fate::kDrop : Fate::kPass,
                  closed ? NodeCounter::kDroppedFailClosed : NodeCounter::kPassedTableFull);
  }
  std::uint32_t number = free_flights_.back();
  free_flights_.pop_back();
  Flight& flight = flights_[number];
  flight.packet = packet;
  flight.headers = *headers;
  std::copy_n(chain.hits.begin(), chain.count, flight.chain.begin());
  flight.count = chain.count;
  flight.next = 0;
  flight.changed = flight.answered = false;
  flight.reason = NodeCounter::kPassedDrain;
  flight.lane = kGoneLane;
  advance(number, now);
}

void Forwarder::build_chain(const Packet& packet, const PacketHeaders& headers, Chain& chain,
                            TimePoint now) {
  table_.match(headers, [&](const FilterTable::Target& target) {
    Lane& lane = *lanes_[target.lane];
    if (!lane.config.enabled) return;
    if (target.observer) {
      chain.observed = true;
      return copy_to_observer(packet, lane, target, 1, now);
    }
    std::uint64_t module = std::uint64_t{1} << target.slot.value();
    for (std::uint8_t i = 0; i < chain.count; ++i) {
      Hit& hit = chain.hits[i];
      if (hit.lane != target.lane) continue;
      hit.modules |= module;
      hit.fail_closed |= target.fail_closed;
      return;
    }
    Hit next{target.lane, lane.rank, target.fail_closed, module};
    if (chain.count == kMaxChain) {
      counters_.add(NodeCounter::kChainCut);
      const bool next_goes = chain.hits[kMaxChain - 1].rank < next.rank;
      chain.cut_closed |= next_goes ? next.fail_closed : chain.hits[kMaxChain - 1].fail_closed;
      if (next_goes) return;
      --chain.count;
    }
    std::uint8_t at = chain.count++;
    for (; at > 0 && chain.hits[at - 1].rank > next.rank; --at) chain.hits[at] = chain.hits[at - 1];
    chain.hits[at] = next;
  });
}

void Forwarder::on_copies(std::span<const Packet> copies, std::uint32_t sampled_one_in, TimePoint now) {
  for (const Packet& copy : copies) {
    // A copy may be cut: its lengths hold for the packet it was.
    auto headers = parse_cut_packet(copy.bytes(), copy.original_length);
    if (!headers || headers->fragment || draining_ || is_signalling(*headers) || reserved_.contains(headers->destination)) continue;
    table_.match(*headers, [&](const FilterTable::Target& target) {
      Lane& lane = *lanes_[target.lane];
      if (target.observer && lane.config.enabled) copy_to_observer(copy, lane, target, sampled_one_in, now);
    });
  }
  flush();
}

void Forwarder::copy_to_observer(const Packet& packet, Lane& lane, const FilterTable::Target& target,
                                 std::uint32_t sampled_one_in, TimePoint now) {
  std::uint32_t one_in = std::max(1u, target.sample_one_in / std::max(1u, sampled_one_in));
  if (lane.sample_count[target.slot.value()]++ % one_in != 0)
    return lane.counters.add(ContainerCounter::kCopiesSampledOut);
  ByteSpan bytes = packet.bytes();
  if (target.snap_length != 0) bytes = bytes.first(std::min<std::size_t>(bytes.size(), target.snap_length));
  std::uint32_t flags = NETSERV_FLAG_COPY | (bytes.size() < packet.original_length ? NETSERV_FLAG_TRUNCATED : 0);
  bool usable = lane.port && !lane.cut_off && !lane.stalled;
  auto meta = meta_of(packet, std::uint64_t{1} << target.slot.value(), flags);
  meta.lost = lane.copies_lost[target.slot.value()];
  if (!usable || !lane.stage(bytes, meta, kCopyFlight + target.slot.value(), now)) {
    ++lane.copies_lost[target.slot.value()];
    return lane.counters.add(ContainerCounter::kCopiesLost);
  }
  lane.copies_lost[target.slot.value()] = 0;
  ++lane.copies_out;
  lane.counters.add(ContainerCounter::kCopies);
}

void Forwarder::on_copies_lost(std::uint64_t lost) {
  for (auto& lane : lanes_) {
    if (!lane) continue;
    std::uint64_t told = 0;  // modules, by slot
    for (const ipc::ModuleFilter& f : table_.filters(lane->number)) {
      std::uint64_t module = std::uint64_t{1} << f.slot.value();
      if (!f.observer || (told & module) != 0) continue;
      told |= module;
      lane->copies_lost[f.slot.value()] += static_cast<std::uint32_t>(lost);
    }
  }
}

// To the next container that takes it, or out.
void Forwarder::advance(std::uint32_t number, TimePoint now) {
  Flight& flight = flights_[number];
  while (flight.next < flight.count && !draining_) {
    const Hit& hit = flight.chain[flight.next++];
    if (hit.lane == kGoneLane || !lanes_[hit.lane]->config.enabled) continue;
    Lane& lane = *lanes_[hit.lane];
    if (!lane.port || lane.cut_off) {
      flight.reason = NodeCounter::kPassedAbsent;
      lane.counters.add(ContainerCounter::kBypassedAbsent);
    } else if (lane.stalled) {
      flight.reason = NodeCounter::kPassedStalled;
      lane.counters.add(ContainerCounter::kBypassedStalled);
    } else if (auto slot = lane.stage(flight.packet.bytes(), meta_of(flight.packet, hit.modules, 0), number, now)) {
      flight.lane = hit.lane;
      flight.slot = *slot;
      ++lane.in_flight;
      lane.counters.add(ContainerCounter::kSubmitted);
      return;
    } else {
      flight.reason = NodeCounter::kPassedRingFull;
      lane.counters.add(ContainerCounter::kBypassedRingFull);
    }
    if (hit.fail_closed) return end(number, Fate::kDrop, NodeCounter::kDroppedFailClosed);
  }
  pass(number);
}

void Forwarder::pass(std::uint32_t number) {
  const Flight& flight = flights_[number];
  if (flight.changed) return end(number, Fate::kPassChanged, NodeCounter::kProcessedChanged);
  end(number, Fate::kPass, flight.answered ? NodeCounter::kProcessedPassed : flight.reason);
}

// The container that it was at gave none.
void Forwarder::no_verdict(std::uint32_t number, NodeCounter reason, TimePoint now) {
  Flight& flight = flights_[number];
  flight.reason = reason;
  if (flight.chain[flight.next - 1u].fail_closed && !draining_)
    return end(number, Fate::kDrop, NodeCounter::kDroppedFailClosed);
  advance(number, now);
}

void Forwarder::answer(Lane& lane, const PortAnswer& a, TimePoint now) {
  std::uint32_t number = std::exchange(lane.flight_of_slot[a.slot], kNoFlight);
  if (is_copy(number)) {
    --lane.copies_out;
    return;
  }
  NETSERV_CHECK(number < flights_.size());
  --lane.in_flight;
  Flight& flight = flights_[number];
  if (a.skipped) {
    lane.counters.add(ContainerCounter::kAnsweredSkipped);
    return no_verdict(number, NodeCounter::kPassedSkipped, now);
  }
  flight.answered = true;
  switch (a.verdict) {
    case NETSERV_DROP:
      lane.counters.add(ContainerCounter::kAnsweredDrop);
      return end(number, Fate::kDrop, NodeCounter::kProcessedDropped);
    case NETSERV_STEAL:
      lane.counters.add(ContainerCounter::kAnsweredSteal);
      return end(number, Fate::kDrop, NodeCounter::kProcessedStolen);
    case NETSERV_REPLY:
      lane.counters.add(ContainerCounter::kAnsweredReply);
      if (!a.changed) {
        lane.counters.add(ContainerCounter::kRefusedUnchanged);
      } else if (!lane.allowance->packets.take(now)) {
        lane.counters.add(ContainerCounter::kRefusedRate);
      } else if (!lane.allowance->bytes.take(now, a.length)) {
        lane.counters.add(ContainerCounter::kRefusedBandwidth);
      } else if (take_change(lane, flight, a, Way::kBack)) {
        return end(number, Fate::kReply, NodeCounter::kProcessedReplied);
      }
      return advance(number, now);
    default:
      lane.counters.add(ContainerCounter::kAnsweredPass);
      if (a.changed && may_grow(lane, flight, a, now) && take_change(lane, flight, a, Way::kOnward)) flight.changed = true;
      return advance(number, now);
  }
}

// A module that makes packets longer sends traffic of its own.
bool Forwarder::may_grow(Lane& lane, const Flight& flight, const PortAnswer& a, TimePoint now) {
  if (a.length <= flight.packet.length || lane.allowance->bytes.take(now, a.length - flight.packet.length)) return true;
  lane.counters.add(ContainerCounter::kRefusedBandwidth);
  return false;
}

// Copies first, then looks; the packet's own buffer is written only if the change is allowed.
bool Forwarder::take_change(Lane& lane, Flight& flight, const PortAnswer& a, Way way) {
  std::span<std::byte> copy(scratch_.data(), a.length);
  lane.port->copy_out(a.slot, copy);
  Refusal refusal = check_changed(copy, flight.headers, lane.config.authorised, reserved_, way);
  if (refusal != Refusal::kNone) {
    count_refusal(lane, refusal);
    return false;
  }
  if (copy.size() > flight.packet.capacity) {
    lane.counters.add(ContainerCounter::kRefusedRoom);
    return false;
  }
  std::ranges::copy(copy, flight.packet.data);
  flight.packet.length = static_cast<std::uint32_t>(copy.size());
  lane.counters.add(ContainerCounter::kChanged);
  return true;
}

void Forwarder::count_refusal(Lane& lane, Refusal refusal) {
  switch (refusal) {
    case Refusal::kNone: return;
    case Refusal::kUnparsable: return lane.counters.add(ContainerCounter::kRefusedUnparsable);
    case Refusal::kSource: return lane.counters.add(ContainerCounter::kRefusedSource);
    case Refusal::kDestination: return lane.counters.add(ContainerCounter::kRefusedDestination);
    case Refusal::kSignalling: return lane.counters.add(ContainerCounter::kRefusedSignalling);
    case Refusal::kTtl: return lane.counters.add(ContainerCounter::kRefusedTtl);
  }
}

void Forwarder::send_emitted(Lane& lane, ByteSpan packet, TimePoint now) {
  if (!lane.config.enabled || draining_) return lane.counters.add(ContainerCounter::kRefusedDisabled);
  if (!lane.allowance->packets.take(now)) {
    lose_patience(lane, 1, now);
    return lane.counters.add(ContainerCounter::kRefusedRate);
  }
  if (!lane.allowance->bytes.take(now, static_cast<std::uint32_t>(packet.size()))) {
    lose_patience(lane, 1, now);
    return lane.counters.add(ContainerCounter::kRefusedBandwidth);
  }
  std::span<std::byte> copy(scratch_.data(), packet.size());
  std::ranges::copy(packet, copy.begin());
  Refusal refusal = check_emitted(copy, lane.config.authorised, reserved_);
  if (refusal != Refusal::kNone) return count_refusal(lane, refusal);
  bool sent = plane_.send(copy);
  counters_.add(sent ? NodeCounter::kEmitted : NodeCounter::kEmitFailed);
  if (sent) lane.counters.add(ContainerCounter::kEmitted);
}

std::size_t Forwarder::poll_lane(Lane& lane, TimePoint now) {
  std::array<PortAnswer, kBatch> answers;
  std::size_t total = 0;
  while (total < kPortSlots) {  // bounded: one container must not keep the others waiting
    std::size_t n = lane.port->reap(answers);
    if (n == 0) break;
    for (const PortAnswer& a : std::span(answers).first(n)) {
      answer(lane, a, now);
      lane.port->release(a.slot);
    }
    total += n;
  }
  if (total > 0) lane.progress = now;
  // Taken even if it is not to be sent: left there, it would keep us awake.
  for (unsigned i = 0; i < kPortSlots && !lane.too_much_nonsense; ++i, ++total) {
    auto emitted = lane.port->take_emitted();
    if (!emitted) break;
    send_emitted(lane, emitted->packet, now);
  }
  std::uint64_t nonsense = lane.port->nonsense();
  lose_patience(lane, nonsense - std::exchange(lane.nonsense_seen, nonsense), now);
  if (lane.too_much_nonsense || !lane.port->corrupt_reason().empty()) cut_off(lane, now);
  return total;
}

// The work of refusing is work too: a container that causes too much of it is cut off.
void Forwarder::lose_patience(Lane& lane, std::uint64_t nonsense, TimePoint now) {
  for (; nonsense > 0 && !lane.too_much_nonsense; --nonsense) lane.too_much_nonsense = !lane.patience.take(now);
}

std::size_t Forwarder::poll(TimePoint now) {
  std::size_t total = 0;
  for (auto& lane : lanes_)
    if (lane && lane->port && !lane->cut_off) total += poll_lane(*lane, now);
  flush();
  return total;
}

void Forwarder::end(std::uint32_t number, Fate fate, NodeCounter reason) {
  finish(flights_[number].packet, fate, reason);
  flights_[number].lane = kGoneLane;
  free_flights_.push_back(number);
}

void Forwarder::finish(const Packet& packet, Fate fate, NodeCounter reason) {
  counters_.add(reason);
  outcomes_.push_back({packet.cookie, fate, packet.data, packet.length});
  if (outcomes_.size() < outcomes_.capacity()) return;
  plane_.finish(outcomes_);
  outcomes_.clear();
}

void Forwarder::flush() {
  for (auto& lane : lanes_)
    if (lane && lane->staged) {
      lane->staged = false;
      lane->port->publish();
    }
  if (!outcomes_.empty()) plane_.finish(outcomes_);
  outcomes_.clear();
  plane_.flush();
}

}  // namespace netserv::forward
