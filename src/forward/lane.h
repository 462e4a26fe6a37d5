// The forwarder's private records: a container's lane, a packet in flight.
#pragma once

#include "forward/forwarder.h"

namespace netserv::forward {

inline constexpr std::uint32_t kNoFlight = 0xffffffff;
// kCopyFlight + n: a copy for the observer in ModuleSlot n; nothing waits for it.
inline constexpr std::uint32_t kCopyFlight = 0xffffff00;
static_assert(kMaxModulesPerContainer < 0xff);
inline bool is_copy(std::uint32_t flight) { return flight >= kCopyFlight && flight != kNoFlight; }
inline constexpr std::uint32_t kGoneLane = 0xffffffff;

// What a container may do in vain (senseless completions and emits, wake-ups for nothing, emits over its rate) before
// it is cut off: a second's worth costs some ten milliseconds.
inline constexpr std::uint32_t kNonsensePerSecond = 100'000;

// Without initialisers: a chain of sixteen is on the stack for every packet.
struct Forwarder::Hit {
  std::uint32_t lane;
  std::uint32_t rank;
  bool fail_closed;
  std::uint64_t modules;
};

struct Forwarder::Chain {
  std::array<Hit, kMaxChain> hits;
  std::uint8_t count = 0;
  bool observed = false;
  bool cut_closed = false;  // one that was left out asked for fail-closed
};

struct Forwarder::Flight {
  Packet packet;
  PacketHeaders headers;  // as received
  std::array<Hit, kMaxChain> chain;
  std::uint8_t count = 0;
  std::uint8_t next = 0;  // the hit after the one it is at
  bool changed = false;
  bool answered = false;  // by some container's verdict
  NodeCounter reason = NodeCounter::kPassedDrain;  // why no container has answered
  std::uint32_t lane = kGoneLane;
  std::uint32_t slot = 0;
};

struct Forwarder::Lane {
  std::uint32_t number = 0;
  std::uint32_t rank = 0;
  ipc::ConfigureContainer config;
  std::unique_ptr<ContainerPort> port;
  bool cut_off = false;
  bool stalled = false;
  std::uint64_t heartbeat_at_stall = 0;
  bool staged = false;  // something to publish
  std::uint32_t in_flight = 0;
  std::uint32_t copies_out = 0;
  TimePoint progress{};  // last answer, or when it first owed one
  std::array<std::uint32_t, kPortSlots> flight_of_slot;
  std::array<std::uint32_t, kMaxModulesPerContainer> sample_count{};
  std::array<std::uint32_t, kMaxModulesPerContainer> copies_lost{};  // not told to the module yet
  TokenBucket patience;  // for nonsense: one token each
  std::uint64_t nonsense_seen = 0;
  bool too_much_nonsense = false;
  std::shared_ptr<Allowance> allowance;  // never null
  ContainerCounters counters;

  Lane() {
    flight_of_slot.fill(kNoFlight);
    patience.set_rate(kNonsensePerSecond);
  }
  bool owes() const { return in_flight + copies_out > 0; }
  std::optional<std::uint32_t> stage(ByteSpan bytes, const PortMeta& meta, std::uint32_t flight, TimePoint now) {
    auto slot = port->stage(bytes, meta);
    if (!slot) return {};
    if (!owes()) progress = now;
    flight_of_slot[*slot] = flight;
    staged = true;
    return slot;
  }
};

}  // namespace netserv::forward
