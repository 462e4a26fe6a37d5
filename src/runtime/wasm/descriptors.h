// Between the dispatcher's views and a module's descriptors. The two begin alike, so that a batch is handed over in
// few, wide stores.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>

#include "dispatch/module_runtime.h"
#include "netserv/abi.h"

namespace netserv::runtime {

inline constexpr std::size_t kSharedBytes = offsetof(netserv_packet, new_length);
static_assert(offsetof(dispatch::PacketView, window_offset) == offsetof(netserv_packet, data) &&
              offsetof(dispatch::PacketView, length) == offsetof(netserv_packet, length) &&
              offsetof(dispatch::PacketView, capacity) == offsetof(netserv_packet, capacity) &&
              offsetof(dispatch::PacketView, original_length) == offsetof(netserv_packet, original_length) &&
              offsetof(dispatch::PacketView, received_ns) == offsetof(netserv_packet, received_ns) &&
              offsetof(dispatch::PacketView, ingress) == offsetof(netserv_packet, ingress) &&
              offsetof(dispatch::PacketView, vlan) == offsetof(netserv_packet, vlan) &&
              offsetof(dispatch::PacketView, flags) == offsetof(netserv_packet, flags) && kSharedBytes == 32);

// The part that the module writes.
struct PacketOutcome {
  std::uint32_t new_length;
  std::uint8_t verdict, changed;
  std::uint8_t reserved[2];
};
static_assert(sizeof(PacketOutcome) == 8 && offsetof(netserv_packet, verdict) == kSharedBytes + 4 &&
              offsetof(netserv_packet, changed) == kSharedBytes + 5);

inline void write_descriptors(std::span<const dispatch::PacketView> views, std::uint32_t window_at, netserv_packet* to) {
  for (const dispatch::PacketView& view : views) {
    std::memcpy(static_cast<void*>(to), &view, kSharedBytes);
    to->data = window_at + view.window_offset;
    const PacketOutcome start{view.length, NETSERV_PASS, 0, {}};
    std::memcpy(&to->new_length, &start, sizeof start);
    to->lost = view.lost;
    ++to;
  }
}

// What the module wrote, with values out of range made harmless.
inline void read_outcomes(const netserv_packet* from, std::span<dispatch::PacketView> views) {
  for (dispatch::PacketView& view : views) {
    PacketOutcome outcome;
    std::memcpy(&outcome, &from++->new_length, sizeof outcome);
    view.verdict = outcome.verdict <= NETSERV_STEAL ? static_cast<dispatch::Verdict>(outcome.verdict) : dispatch::Verdict::kPass;
    view.changed = outcome.changed == 1 && outcome.new_length != 0 && outcome.new_length <= view.capacity;
    view.new_length = view.changed ? outcome.new_length : view.length;
  }
}

}  // namespace netserv::runtime
