#include "ring/ring_consumer.h"

#include <algorithm>
#include <cstring>

namespace netserv::ring {
namespace {

constexpr std::uint32_t kBatchesAWakeup = 4;

}  // namespace

Result<std::unique_ptr<RingConsumer>> RingConsumer::attach(sys::UniqueFd file, sys::UniqueFd container_event,
                                                           sys::UniqueFd forwarder_event) {
  std::unique_ptr<RingConsumer> ring(new RingConsumer);
  ring->file_ = std::move(file);
  ring->container_event_ = std::move(container_event);
  ring->forwarder_event_ = std::move(forwarder_event);
  NETSERV_ASSIGN(ring->map_, RingMapping::map(ring->file_.get(), Guard::kNone));
  const RingHeader& h = ring->map_->header();
  if (h.magic != kMagic) return fail(Origin::kPeer, "ring", "not a packet ring");
  if (h.version < kOldestVersion || h.version > kVersion)
    return fail(Origin::kPeer, "ring", "of version " + std::to_string(h.version) + ", not of " +
                                           std::to_string(kOldestVersion) + " to " + std::to_string(kVersion));
  if (h.slots != ring->slots() || h.slot_bytes != kSlotBytes || h.emit_slots != kEmitSlots)
    return fail(Origin::kPeer, "ring", "another geometry than this build's");
  // A ring may be attached again by the same container's next process: go on where the last one stopped.
  ring->submit_tail_ = h.submit_tail.load(std::memory_order_relaxed);
  ring->complete_head_ = h.complete_head.load(std::memory_order_relaxed);
  ring->emit_head_ = h.emit_head.load(std::memory_order_relaxed);
  ring->shown_complete_ = ring->complete_head_;
  ring->shown_emit_ = ring->emit_head_;
  ring->heartbeat_ = h.heartbeat.load(std::memory_order_relaxed);
  return ring;
}

std::size_t RingConsumer::take(std::span<SubmitDescriptor> out) {
  std::uint32_t ready = map_->header().submit_head.load(std::memory_order_acquire) - submit_tail_;
  std::size_t n = std::min<std::size_t>({ready, out.size(), kSlots});
  const std::uint32_t count = slots();
  for (std::size_t i = 0; i < n; ++i) {
    SubmitDescriptor& d = out[i];
    std::memcpy(&d, &map_->submit()[(submit_tail_ + i) % kSlots], sizeof d);
    if (d.slot >= count) d.slot = 0;
    d.offset = std::min(d.offset, kSlotBytes);
    d.length = std::min(d.length, kSlotBytes - d.offset);
  }
  submit_tail_ += static_cast<std::uint32_t>(n);
  if (n > 0) map_->header().submit_tail.store(submit_tail_, std::memory_order_release);
  return n;
}

std::span<std::byte> RingConsumer::slot_bytes(const SubmitDescriptor& packet) {
  return {map_->window_slot(packet.slot) + packet.offset, kSlotBytes - packet.offset};
}

void RingConsumer::complete(std::span<const Completion> verdicts) {
  // Never full: as many places as slots, and a slot has one completion.
  for (const Completion& c : verdicts) map_->complete()[complete_head_++ % kSlots] = c;
}

bool RingConsumer::emit(ModuleSlot module, ByteSpan packet) {
  std::uint32_t used = emit_head_ - map_->header().emit_tail.load(std::memory_order_acquire);
  if (used >= kEmitSlots || packet.empty() || packet.size() > kSlotBytes) return false;
  std::uint32_t slot = emit_head_ % kEmitSlots;
  std::memcpy(map_->emit_slot(slot), packet.data(), packet.size());
  map_->emit()[slot] = EmitDescriptor{slot, static_cast<std::uint32_t>(packet.size()), module.value(), {}};
  ++emit_head_;
  return true;
}

void RingConsumer::flush() {
  RingHeader& h = map_->header();
  h.heartbeat.store(++heartbeat_, std::memory_order_relaxed);
  h.container_core.store(core_here(), std::memory_order_relaxed);
  if (shown_complete_ == complete_head_ && shown_emit_ == emit_head_) return;
  shown_emit_ = emit_head_;
  shown_complete_ = complete_head_;
  h.emit_head.store(emit_head_, std::memory_order_seq_cst);
  h.complete_head.store(complete_head_, std::memory_order_seq_cst);
  if (h.forwarder_waiting.load(std::memory_order_seq_cst) == 0) return;
  // On the core that this thread runs on it would take over after every batch.
  if (has_more() && shares_core() && ++unsaid_ < kBatchesAWakeup) return;
  unsaid_ = 0;
  signal_event_fd(forwarder_event_.get());
}

bool RingConsumer::prepare_wait() {
  flush();
  RingHeader& h = map_->header();
  h.container_waiting.store(1, std::memory_order_seq_cst);
  bool idle = h.submit_head.load(std::memory_order_seq_cst) == submit_tail_;
  if (!idle) cancel_wait();
  return idle;
}

void RingConsumer::end_wait() {
  cancel_wait();
  drain_waiting_fd(container_event_.get());
}

}  // namespace netserv::ring
