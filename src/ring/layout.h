// The shared-memory packet ring between the forwarder and one container: layout and nothing else.
//
// One file on a noexec tmpfs, made and sized by the forwarder, mapped by both:
//   [RingHeader page][submit descriptors][completions][emit descriptors] page-aligned
//   [emit data: kEmitSlots x NETSERV_SLOT_BYTES] page-aligned
//   [window: `slots` x NETSERV_SLOT_BYTES] page-aligned; mapped into every module's linear memory too
//
// A container has a ring for each of the forwarder's workers. The window of its modules' memory is divided among them:
// ring k of n has slots_of_part(n) slots, and its window lies at part k.
//
// Three single-producer, single-consumer queues of free-running 32-bit indices (position = index % size):
//   submit    forwarder -> container: a packet lies in a window slot
//   complete  container -> forwarder: its verdict; the slot is the forwarder's again
//   emit      container -> forwarder: a module sends a packet of its own, in an emit slot
// Each index is written by one side only and read with acquire by the other. The forwarder trusts nothing the
// container can write: indices further ahead than the queue is long, slots not in flight, lengths over a slot
// are counted and ignored, and packet bytes are copied out before they are looked at.
//
// Sleeping: a side that found nothing sets its `waiting` flag (seq_cst), looks once more, then blocks on its
// eventfd. The other side, after publishing an index, writes the eventfd only if the flag is set. The container gets
// its own eventfd wrapped in an epoll set (make_waiting_fd): it could otherwise fill it up and make it block.
//
// Each side says on which core it runs, a hint: one that waits for the other by looking again and again, on the core
// that the other needs, only keeps it from its work, so it sleeps at once instead.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "netserv/abi.h"

namespace netserv::ring {

inline constexpr std::uint64_t kMagic = 0x4e53'5249'4e47'3031;  // "NSRING01"
inline constexpr std::uint32_t kVersion = 3;        // that the forwarder writes
inline constexpr std::uint32_t kOldestVersion = 3;  // that the container still reads
inline constexpr std::uint32_t kSlots = NETSERV_WINDOW_SLOTS;  // the most that a ring has, and the length of its queues
inline constexpr std::uint32_t kSlotBytes = NETSERV_SLOT_BYTES;
inline constexpr std::uint32_t kEmitSlots = 128;

struct SubmitDescriptor {
  std::uint32_t slot;             // 0..slots-1
  std::uint32_t offset;           // of the IP header within the slot, bytes
  std::uint32_t length;           // bytes there
  std::uint32_t original_length;  // on the wire, from the IP header on
  std::uint64_t received_ns;      // CLOCK_MONOTONIC
  std::uint64_t modules;          // bit n: the module in ModuleSlot n is to see it
  std::uint16_t ingress;          // ifindex, cut to 16 bits
  std::uint16_t vlan;             // NETSERV_NO_VLAN if none
  std::uint32_t flags;            // NETSERV_FLAG_*
  std::uint32_t lost;             // copies that the module did not get before this one
  std::uint32_t reserved32;
  std::uint64_t reserved[2];
};
static_assert(sizeof(SubmitDescriptor) == 64);

struct Completion {
  std::uint32_t slot;
  std::uint32_t length;  // new length if changed
  std::uint8_t verdict;  // NETSERV_PASS ..
  std::uint8_t changed;
  std::uint8_t decided_by;  // ModuleSlot of the module whose verdict it is; 0xff if all passed
  std::uint8_t skipped;     // 1: no module looked at it (trapped, restarting, gone)
  std::uint32_t reserved;
};
static_assert(sizeof(Completion) == 16);

struct EmitDescriptor {
  std::uint32_t slot;  // 0..kEmitSlots-1
  std::uint32_t length;
  std::uint8_t module;  // ModuleSlot
  std::uint8_t reserved[7];
};
static_assert(sizeof(EmitDescriptor) == 16);

struct RingHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t slots;  // of its window: even, at most kSlots
  std::uint32_t slot_bytes;
  std::uint32_t emit_slots;

  // Written by the forwarder.
  alignas(64) std::atomic<std::uint32_t> submit_head;
  std::atomic<std::uint32_t> complete_tail;
  std::atomic<std::uint32_t> emit_tail;
  std::atomic<std::uint32_t> forwarder_waiting;
  std::atomic<std::uint32_t> forwarder_core;  // number + 1; 0: not said

  // Written by the container.
  alignas(64) std::atomic<std::uint32_t> submit_tail;
  std::atomic<std::uint32_t> complete_head;
  std::atomic<std::uint32_t> emit_head;
  std::atomic<std::uint32_t> container_waiting;
  std::atomic<std::uint64_t> heartbeat;  // counts rounds of the container's loop
  std::atomic<std::uint32_t> container_core;  // number + 1; 0: not said
};
static_assert(sizeof(RingHeader) <= 4096);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

inline constexpr std::size_t kPage = 4096;
constexpr std::size_t page_up(std::size_t n) { return (n + kPage - 1) / kPage * kPage; }

inline constexpr std::size_t kSubmitOffset = kPage;
inline constexpr std::size_t kCompleteOffset = kSubmitOffset + kSlots * sizeof(SubmitDescriptor);
inline constexpr std::size_t kEmitOffset = kCompleteOffset + kSlots * sizeof(Completion);
inline constexpr std::size_t kEmitDataOffset = page_up(kEmitOffset + kEmitSlots * sizeof(EmitDescriptor));
inline constexpr std::size_t kWindowOffset = kEmitDataOffset + std::size_t{kEmitSlots} * kSlotBytes;
constexpr std::size_t file_bytes(std::uint32_t slots) { return kWindowOffset + std::size_t{slots} * kSlotBytes; }
inline constexpr std::size_t kFileBytes = file_bytes(kSlots);  // the longest
static_assert(kWindowOffset % kPage == 0);

inline constexpr std::uint32_t kMostParts = 16;
// Of each ring of a container that has `parts` of them: whole pages.
constexpr std::uint32_t slots_of_part(std::uint32_t parts) { return kSlots / parts / 2 * 2; }
static_assert(slots_of_part(1) == kSlots && slots_of_part(kMostParts) >= 32 && 2 * kSlotBytes == kPage);

}  // namespace netserv::ring
