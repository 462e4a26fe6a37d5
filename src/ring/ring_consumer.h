// The container's side of a packet ring. Modules share the window, so the descriptors are taken by copy and
// checked once against the window; the forwarder itself is trusted.
//
// A round of the container's loop: take() a batch, run modules, complete() it, flush(). With nothing to take:
// prepare_wait(), block on wake_fd(), end_wait(). One thread. Nothing but attach() allocates.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "ring/layout.h"
#include "ring/ring_memory.h"

namespace netserv::ring {

class RingConsumer {
 public:
  // The descriptors of ipc::AttachRing, in its order. Refuses a file of another size, version or geometry.
  static Result<std::unique_ptr<RingConsumer>> attach(sys::UniqueFd file, sys::UniqueFd container_event,
                                                      sys::UniqueFd forwarder_event);

  int file_fd() const { return file_.get(); }  // the window: from kWindowOffset on
  std::uint32_t slots() const { return map_->slots(); }
  std::span<std::byte> window() { return {map_->window_slot(0), std::size_t{slots()} * kSlotBytes}; }
  int wake_fd() const { return container_event_.get(); }

  // The next packets, copied descriptors, up to out.size(); offset + length lies within the slot.
  std::size_t take(std::span<SubmitDescriptor> out);
  // The next take() will not come back empty-handed.
  bool has_more() const { return map_->header().submit_head.load(std::memory_order_acquire) != submit_tail_; }
  // Bytes of a taken packet, from its offset to the end of its slot.
  std::span<std::byte> slot_bytes(const SubmitDescriptor& packet);
  // Verdicts for taken packets, in any order, each once. Shown to the forwarder by flush().
  void complete(std::span<const Completion> verdicts);
  // Copies a packet into an emit slot; false if there is no room or the packet is empty or over kSlotBytes.
  bool emit(ModuleSlot module, ByteSpan packet);
  // Shows the forwarder what was completed and emitted, counts a heartbeat, and wakes it if it sleeps: at once, or, if
  // it needs this core, when all that it has submitted is done, or a few batches of it.
  void flush();

  // The forwarder needs the core that this thread runs on, as far as it has said.
  bool shares_core() const { return map_->header().forwarder_core.load(std::memory_order_relaxed) == core_here(); }

  // False if there is something to take after all. Flushes first.
  bool prepare_wait();
  void end_wait();
  // After prepare_wait(), not going to block after all.
  void cancel_wait() { map_->header().container_waiting.store(0, std::memory_order_relaxed); }

 private:
  RingConsumer() = default;
  sys::UniqueFd file_, container_event_, forwarder_event_;
  std::unique_ptr<RingMapping> map_;
  std::uint32_t submit_tail_ = 0, complete_head_ = 0, emit_head_ = 0;
  std::uint32_t shown_complete_ = 0, shown_emit_ = 0;  // as last flushed
  std::uint32_t unsaid_ = 0;  // batches shown since it was woken last
  std::uint64_t heartbeat_ = 0;
};

}  // namespace netserv::ring
