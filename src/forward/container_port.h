// What the forwarder needs of a container: slots that packets are put into, answers, packets it emits. Behind it
// is the shared-memory ring. The implementation has checked all that comes out here against its own books; the
// packets' bytes, though, are a stranger's.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "netserv/abi.h"

namespace netserv::forward {

inline constexpr std::uint32_t kPortSlots = NETSERV_WINDOW_SLOTS;
inline constexpr std::uint32_t kPortSlotBytes = NETSERV_SLOT_BYTES;

struct PortMeta {
  std::uint32_t original_length = 0;
  std::uint64_t received_ns = 0;
  std::uint64_t modules = 0;  // bit n: ModuleSlot n
  std::uint16_t ingress = 0;
  std::uint16_t vlan = NETSERV_NO_VLAN;
  std::uint32_t flags = 0;  // NETSERV_FLAG_*
  std::uint32_t lost = 0;   // copies: how many before this one that the module did not get
};

struct PortAnswer {
  std::uint32_t slot = 0;
  std::uint32_t length = 0;  // if changed: 1..kPortSlotBytes
  std::uint8_t verdict = NETSERV_PASS;
  bool changed = false;
  bool skipped = false;  // no module has looked at it
};

struct PortEmitted {
  ByteSpan packet;  // private memory, until the next call
  ModuleSlot module;
};

// One thread, the forwarder's. No call blocks or allocates.
class ContainerPort {
 public:
  virtual ~ContainerPort() = default;
  // Copies a packet into a slot 0..kPortSlots-1; empty if there is none free. Shown by publish().
  virtual std::optional<std::uint32_t> stage(ByteSpan packet, const PortMeta& meta) = 0;
  virtual void publish() = 0;
  // Answers for staged slots, each at most once; the slot is held until release().
  virtual std::size_t reap(std::span<PortAnswer> out) = 0;
  virtual void copy_out(std::uint32_t slot, std::span<std::byte> to) const = 0;
  virtual void release(std::uint32_t slot) = 0;
  // Forget a staged slot; no answer for it will be given.
  virtual void abandon(std::uint32_t slot) = 0;
  virtual std::optional<PortEmitted> take_emitted() = 0;
  // Changes whenever the container gets round to its loop.
  virtual std::uint64_t heartbeat() const = 0;
  // Empty while the ring makes sense.
  virtual std::string_view corrupt_reason() const = 0;
  // Things the container has done that make no sense, or wake this side for nothing; only grows.
  virtual std::uint64_t nonsense() const { return 0; }
  // Wakes the container, asleep or not.
  virtual void kick() = 0;
};

}  // namespace netserv::forward
