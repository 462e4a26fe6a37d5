// The forwarder's core: takes packets from a plane, shows each to the containers whose filters match it, one
// after the other, checks and applies their verdicts, and gives every packet back to the plane exactly once.
//
//   on_packets -> classify -> [container 1 -> answer -> container 2 -> ...] -> finish
//
// The chain is fixed by the packet as it was received: containers in order of priority, then age, each at most
// once. Drop, reply and steal end it. Where no verdict comes (no ring, stalled, ring full, skipped, given up)
// the packet goes on as if the container were not there, or is dropped if the matching filter is fail-closed.
// The operator's switches (drain, a disabled container) always let packets pass. A change that a container may
// not make is refused: the packet goes on as it was before that container.
//
// No system calls, clock or threads; after start-up nothing is allocated for a packet.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "forward/allowance.h"
#include "forward/container_port.h"
#include "forward/counters.h"
#include "forward/filter_table.h"
#include "forward/grant.h"
#include "forward/packet_plane.h"
#include "wire/ipc/forwarder_messages.h"

namespace netserv::forward {

// What the forwarder tells its owner, from within its calls; must not call back into it.
class ForwarderEvents {
 public:
  virtual ~ForwarderEvents() = default;
  virtual void on_stalled(ContainerId, std::uint32_t /*in_flight*/) {}
  virtual void on_resumed(ContainerId) {}
  virtual void on_corrupted(ContainerId, std::string_view /*reason*/) {}
};

struct Limits {
  std::size_t in_flight = 4096;
  Duration stall = std::chrono::milliseconds(50);  // without an answer, while it owes some
};

class Forwarder {
 public:
  static constexpr std::size_t kMaxChain = 16;

  Forwarder(PacketPlane& plane, ForwarderEvents& events, Limits limits = {});
  ~Forwarder();

  // Containers. configure() makes one or changes what it may do; its ring and filters stay. An `allowance` is shared with
  // the forwarder's other workers and has its rates already; without one the container's rates are this core's matter.
  void configure(const ipc::ConfigureContainer& config, std::shared_ptr<Allowance> allowance = nullptr);
  // Puts a ring in place of the one before; packets there are given up (lost, passed on).
  void attach(ContainerId id, std::unique_ptr<ContainerPort> port, TimePoint now);
  void remove(ContainerId id, TimePoint now);
  // All filters of a container at once; on an error nothing has changed.
  Status set_filters(ContainerId id, std::vector<ipc::ModuleFilter> filters);
  void set_drain(bool draining) { draining_ = draining; }
  // Packets to these pass by every module, and no module sends from or to them.
  void set_reserved(ReservedAddresses reserved) { reserved_ = std::move(reserved); }
  bool has_port(ContainerId id) const;  // one that makes sense
  ContainerPort* port(ContainerId id);

  // A batch from the plane.
  void on_packets(std::span<const Packet> packets, TimePoint now);
  // Copies for observers of packets that the plane forwards itself; it has taken one in `sampled_one_in` already.
  void on_copies(std::span<const Packet> copies, std::uint32_t sampled_one_in, TimePoint now);
  // The plane lost copies before it knew whose: every observer is told.
  void on_copies_lost(std::uint64_t lost);
  // Looks for answers and emitted packets of all containers. Returns how many there were.
  std::size_t poll(TimePoint now);
  // Gives up what stalled containers hold, and takes back those that have recovered.
  void check_stalls(TimePoint now);
  // The owner itself was not there to take answers: who owes some has the whole time for them from now on.
  void give_time(TimePoint now);
  // When check_stalls() is due next; empty while nothing is in flight and nothing is stalled.
  std::optional<TimePoint> next_deadline() const;

  // Filters of enabled containers that have one or more, while not draining: what a plane should deliver.
  std::vector<Wanted> wanted() const;
  std::size_t in_flight() const { return limits_.in_flight - free_flights_.size(); }
  const NodeCounters& counters() const { return counters_; }
  const ContainerCounters* counters(ContainerId id) const;
  std::uint32_t in_flight(ContainerId id) const;
  std::uint32_t copies_out(ContainerId id) const;  // that it has not done with
  std::size_t most_observers() const;              // modules of one container: so many places may a copy take in its ring
  std::vector<ContainerId> containers() const;

 private:
  struct Hit;
  struct Flight;
  struct Lane;
  struct Chain;

  Lane* find(ContainerId id) const;
  void rank_lanes();
  std::optional<NodeCounter> passes_by(const Packet& packet, const std::optional<PacketHeaders>& headers) const;
  void start(const Packet& packet, TimePoint now);
  void build_chain(const Packet& packet, const PacketHeaders& headers, Chain& chain, TimePoint now);
  void copy_to_observer(const Packet& packet, Lane& lane, const FilterTable::Target& target,
                        std::uint32_t sampled_one_in, TimePoint now);
  void advance(std::uint32_t flight, TimePoint now);
  void answer(Lane& lane, const PortAnswer& answer, TimePoint now);
  static bool may_grow(Lane& lane, const Flight& flight, const PortAnswer& a, TimePoint now);
  bool take_change(Lane& lane, Flight& flight, const PortAnswer& answer, Way way);
  void no_verdict(std::uint32_t flight, NodeCounter reason, TimePoint now);
  void give_up(Lane& lane, TimePoint now);
  void cut_off(Lane& lane, TimePoint now);
  std::size_t poll_lane(Lane& lane, TimePoint now);
  void send_emitted(Lane& lane, ByteSpan packet, TimePoint now);
  void lose_patience(Lane& lane, std::uint64_t nonsense, TimePoint now);
  void count_refusal(Lane& lane, Refusal refusal);
  void end(std::uint32_t flight, Fate fate, NodeCounter reason);
  void pass(std::uint32_t flight);
  void finish(const Packet& packet, Fate fate, NodeCounter reason);
  void flush();

  PacketPlane& plane_;
  ForwarderEvents& events_;
  Limits limits_;
  bool draining_ = false;
  ReservedAddresses reserved_;
  FilterTable table_;
  std::vector<std::unique_ptr<Lane>> lanes_;  // place = lane number; empty places are used again
  std::vector<Flight> flights_;
  std::vector<std::uint32_t> free_flights_;
  std::vector<Outcome> outcomes_;
  NodeCounters counters_;
  std::array<std::byte, kPortSlotBytes> scratch_{};
};

}  // namespace netserv::forward
