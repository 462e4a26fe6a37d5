// Containers: what they may do, their rings, and what happens when one stops answering.
#include <algorithm>
#include <bit>
#include <tuple>
#include <utility>

#include "forward/forwarder.h"
#include "forward/lane.h"

namespace netserv::forward {

Forwarder::Forwarder(PacketPlane& plane, ForwarderEvents& events, Limits limits)
    : plane_(plane), events_(events), limits_(limits), flights_(limits.in_flight) {
  free_flights_.reserve(limits.in_flight);
  for (std::size_t i = limits.in_flight; i > 0; --i) free_flights_.push_back(static_cast<std::uint32_t>(i - 1));
  outcomes_.reserve(256);
}

Forwarder::~Forwarder() = default;

Forwarder::Lane* Forwarder::find(ContainerId id) const {
  for (const auto& lane : lanes_)
    if (lane && lane->config.container == id) return lane.get();
  return nullptr;
}

void Forwarder::rank_lanes() {
  std::vector<Lane*> order;
  for (auto& lane : lanes_)
    if (lane) order.push_back(lane.get());
  std::ranges::sort(order, [](const Lane* a, const Lane* b) {
    return std::tuple(a->config.priority, a->config.age, a->config.container) <
           std::tuple(b->config.priority, b->config.age, b->config.container);
  });
  for (std::uint32_t rank = 0; rank < order.size(); ++rank) order[rank]->rank = rank;
}

void Forwarder::configure(const ipc::ConfigureContainer& config, std::shared_ptr<Allowance> allowance) {
  Lane* lane = find(config.container);
  if (lane == nullptr) {
    auto place = std::find(lanes_.begin(), lanes_.end(), nullptr);
    if (place == lanes_.end()) place = lanes_.insert(lanes_.end(), nullptr);
    *place = std::make_unique<Lane>();
    (*place)->number = static_cast<std::uint32_t>(place - lanes_.begin());
    lane = place->get();
  }
  lane->config = config;
  if (allowance) {
    lane->allowance = std::move(allowance);
  } else {
    if (!lane->allowance) lane->allowance = std::make_shared<Allowance>(Takers::kOneThread);
    lane->allowance->packets.set_rate(config.emit_packets_per_second);
    lane->allowance->bytes.set_rate(config.send_bytes_per_second);
  }
  rank_lanes();
}

void Forwarder::attach(ContainerId id, std::unique_ptr<ContainerPort> port, TimePoint now) {
  Lane* lane = find(id);
  NETSERV_CHECK(lane != nullptr);
  if (lane->port) {
    if (!lane->cut_off) poll_lane(*lane, now);  // verdicts that have come already count
    give_up(*lane, now);
  }
  lane->port = std::move(port);
  lane->flight_of_slot.fill(kNoFlight);
  lane->cut_off = lane->stalled = lane->staged = false;
  lane->progress = now;
  lane->nonsense_seen = 0;
  lane->too_much_nonsense = false;
  flush();
}

void Forwarder::remove(ContainerId id, TimePoint now) {
  Lane* lane = find(id);
  if (lane == nullptr) return;
  std::uint32_t number = lane->number;
  NETSERV_CHECK(table_.replace(number, {}).has_value());
  for (Flight& flight : flights_)
    for (std::uint8_t i = flight.next; i < flight.count; ++i)
      if (flight.chain[i].lane == number) flight.chain[i].lane = kGoneLane;
  if (lane->port) {
    if (!lane->cut_off) poll_lane(*lane, now);
    give_up(*lane, now);
  }
  lanes_[number].reset();
  rank_lanes();
  flush();
}

Status Forwarder::set_filters(ContainerId id, std::vector<ipc::ModuleFilter> filters) {
  Lane* lane = find(id);
  if (lane == nullptr)
    return fail(Origin::kPeer, "container " + std::to_string(id.value()), "not configured");
  return table_.replace(lane->number, std::move(filters));
}

bool Forwarder::has_port(ContainerId id) const {
  const Lane* lane = find(id);
  return lane != nullptr && lane->port != nullptr && !lane->cut_off;
}

ContainerPort* Forwarder::port(ContainerId id) {
  Lane* lane = find(id);
  return lane == nullptr ? nullptr : lane->port.get();
}

void Forwarder::give_up(Lane& lane, TimePoint now) {
  for (std::uint32_t slot = 0; slot < kPortSlots; ++slot) {
    std::uint32_t number = std::exchange(lane.flight_of_slot[slot], kNoFlight);
    if (number == kNoFlight) continue;
    lane.port->abandon(slot);
    if (is_copy(number)) {
      --lane.copies_out;
      ++lane.copies_lost[number - kCopyFlight];
      lane.counters.add(ContainerCounter::kCopiesLost);
      continue;
    }
    --lane.in_flight;
    lane.counters.add(ContainerCounter::kLost);
    no_verdict(number, NodeCounter::kLostInContainer, now);
  }
}

void Forwarder::cut_off(Lane& lane, TimePoint now) {
  lane.cut_off = true;
  give_up(lane, now);
  std::string_view why = lane.port->corrupt_reason();
  events_.on_corrupted(lane.config.container, why.empty() ? "it keeps the forwarder busy with nonsense" : why);
}

void Forwarder::check_stalls(TimePoint now) {
  for (auto& place : lanes_) {
    if (!place || !place->port || place->cut_off) continue;
    Lane& lane = *place;
    if (lane.stalled && lane.port->heartbeat() != lane.heartbeat_at_stall) {
      lane.stalled = false;
      events_.on_resumed(lane.config.container);
    }
    if (lane.stalled || !lane.owes() || now - lane.progress < limits_.stall) continue;
    lane.stalled = true;
    lane.heartbeat_at_stall = lane.port->heartbeat();
    lane.counters.add(ContainerCounter::kStalls);
    std::uint32_t held = lane.in_flight;
    give_up(lane, now);
    lane.port->kick();  // should a wake-up have been lost, this ends the stall
    events_.on_stalled(lane.config.container, held);
  }
  flush();
}

void Forwarder::give_time(TimePoint now) {
  for (auto& lane : lanes_)
    if (lane && lane->owes()) lane->progress = now;
}

std::optional<TimePoint> Forwarder::next_deadline() const {
  std::optional<TimePoint> due;
  for (const auto& lane : lanes_) {
    if (!lane || !lane->port || lane->cut_off || (!lane->stalled && !lane->owes())) continue;
    TimePoint mine = lane->progress + limits_.stall;
    due = due ? std::min(*due, mine) : mine;
  }
  return due;
}

std::vector<Wanted> Forwarder::wanted() const {
  std::vector<Wanted> out;
  if (draining_) return out;
  for (const auto& lane : lanes_) {
    if (!lane || !lane->config.enabled) continue;
    for (const ipc::ModuleFilter& f : table_.filters(lane->number)) {
      // Where the wish does not matter it is left out, so that equal filters of several modules are one.
      if (f.observer) out.push_back({f.filter, true, f.snap_length, f.sample_one_in});
      else out.push_back({.filter = f.filter, .fail_closed = f.fail_closed});
    }
  }
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

const ContainerCounters* Forwarder::counters(ContainerId id) const {
  const Lane* lane = find(id);
  return lane == nullptr ? nullptr : &lane->counters;
}

std::uint32_t Forwarder::in_flight(ContainerId id) const {
  const Lane* lane = find(id);
  return lane == nullptr ? 0 : lane->in_flight;
}

std::uint32_t Forwarder::copies_out(ContainerId id) const {
  const Lane* lane = find(id);
  return lane == nullptr ? 0 : lane->copies_out;
}

std::size_t Forwarder::most_observers() const {
  std::size_t most = 0;
  for (const auto& lane : lanes_) {
    if (!lane) continue;
    std::uint64_t modules = 0;
    for (const ipc::ModuleFilter& f : table_.filters(lane->number))
      if (f.observer) modules |= std::uint64_t{1} << f.slot.value();
    most = std::max<std::size_t>(most, static_cast<std::size_t>(std::popcount(modules)));
  }
  return most;
}

std::vector<ContainerId> Forwarder::containers() const {
  std::vector<ContainerId> out;
  for (const auto& lane : lanes_)
    if (lane) out.push_back(lane->config.container);
  return out;
}

}  // namespace netserv::forward
