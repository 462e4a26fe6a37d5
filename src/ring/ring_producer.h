// The forwarder's side of a packet ring. It trusts nothing that the container can write: every index, slot,
// length and verdict is checked, every word is read once, and packet bytes are copied out before anyone looks
// at them. Senseless descriptors are counted and skipped; senseless indices, or a fault on the mapping, make
// the ring corrupted(): from then on it accepts and gives nothing.
//
// A slot is free; or submitted; or, once its completion has been reaped, held until release(); or abandoned:
// given up by the forwarder but perhaps still in the container's hands, free again when its late completion
// comes.
//
// One thread. No call blocks; none but create() allocates.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "ring/layout.h"
#include "ring/ring_memory.h"

namespace netserv::ring {

struct PacketMeta {
  std::uint32_t original_length = 0;
  std::uint64_t received_ns = 0;
  std::uint64_t modules = 0;
  std::uint16_t ingress = 0;
  std::uint16_t vlan = NETSERV_NO_VLAN;
  std::uint32_t flags = 0;
  std::uint32_t lost = 0;  // copies: how many before this one the module did not get
};

// A checked completion: slot is one that was submitted, verdict is 0..3, length is 1..kSlotBytes if changed.
struct Reaped {
  std::uint32_t slot = 0;
  std::uint32_t length = 0;
  std::uint8_t verdict = NETSERV_PASS;
  bool changed = false;
  bool skipped = false;
  std::uint8_t decided_by = 0xff;
};

struct RingCounters {
  std::uint64_t bad_completions = 0;   // slot not in flight, length over a slot, unknown verdict
  std::uint64_t late_completions = 0;  // of abandoned packets
  std::uint64_t bad_emits = 0;         // slot or length out of range
  std::uint64_t wakeups = 0;           // eventfd writes towards the container
  std::uint64_t idle_wakeups = 0;      // by the container, with nothing to take
};

class RingProducer {
 public:
  // A new ring of `slots` (layout.h) on the tmpfs `directory`.
  static Result<std::unique_ptr<RingProducer>> create(const std::string& directory, std::uint32_t slots = kSlots);

  // What the container is given. The first wakes it: an epoll set, since whoever shares an eventfd could fill it up and
  // make it block. The second wakes this side, which reads it without ever waiting.
  int file_fd() const { return file_.get(); }
  int container_event_fd() const { return container_waits_.get(); }
  int forwarder_event_fd() const { return forwarder_event_.get(); }

  // Copies a packet of 1..kSlotBytes bytes into a free slot; it is seen after publish(). Empty if there is no
  // free slot or the ring is corrupted.
  std::optional<std::uint32_t> stage(ByteSpan packet, const PacketMeta& meta);
  // Shows the container all staged packets, and wakes it if it sleeps.
  void publish();
  std::uint32_t slots() const { return slot_count_; }
  std::uint32_t free_slots() const { return free_count_; }
  std::uint32_t in_container() const { return in_container_; }  // submitted, abandoned ones not counted

  // Completions that have come, up to out.size(). Each slot given must be release()d.
  std::size_t reap(std::span<Reaped> out);
  // The first `to.size()` (<= kSlotBytes) bytes of a reaped slot. The container may still write there: look at
  // the copy only.
  void copy_out(std::uint32_t slot, std::span<std::byte> to) const;
  void release(std::uint32_t slot);
  // Gives a submitted slot up.
  void abandon(std::uint32_t slot);

  // Copies the next emitted packet out; empty if there is none. The span lives until the next call.
  struct Emitted {
    ByteSpan packet;
    ModuleSlot module;
  };
  std::optional<Emitted> take_emitted();

  // Before blocking on forwarder_event_fd: false if there is something to reap or take after all.
  bool prepare_wait();
  // Busy with something else, and will look at the ring before blocking again: no wake-up needed.
  void clear_waiting() { map_->header().forwarder_waiting.store(0, std::memory_order_relaxed); }
  // After waking: clears the flag and the eventfd.
  void end_wait();
  // Wakes the container even if its flag says that it is awake.
  void kick();

  // The container needs the core that this thread runs on, as far as it has said.
  bool shares_core() const { return map_->header().container_core.load(std::memory_order_relaxed) == core_here(); }
  std::uint64_t heartbeat() const { return map_->header().heartbeat.load(std::memory_order_relaxed); }
  bool corrupted() const { return !corrupt_reason_.empty() || map_->faulted(); }
  std::string_view corrupt_reason() const {
    return map_->faulted() ? "the container cut the ring file short" : corrupt_reason_;
  }
  const RingCounters& counters() const { return counters_; }

 private:
  enum class Slot : std::uint8_t { kFree, kSubmitted, kHeld, kAbandoned };
  explicit RingProducer(std::uint32_t slots) : slot_count_(slots), free_count_(slots) {}
  void free_slot(std::uint32_t slot);

  sys::UniqueFd file_, container_event_, container_waits_, forwarder_event_;
  std::unique_ptr<RingMapping> map_;
  std::string_view corrupt_reason_;
  std::array<Slot, kSlots> slots_{};
  std::array<std::uint16_t, kSlots> free_{};  // a stack
  const std::uint32_t slot_count_;
  std::uint32_t free_count_;
  std::uint32_t in_container_ = 0;
  std::uint32_t submit_head_ = 0, published_ = 0, complete_tail_ = 0, emit_tail_ = 0;
  RingCounters counters_;
  std::array<std::byte, kSlotBytes> emitted_{};
};

}  // namespace netserv::ring
