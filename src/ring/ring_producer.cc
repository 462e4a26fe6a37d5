#include "ring/ring_producer.h"

#include <cstring>
#include <new>

namespace netserv::ring {

Result<std::unique_ptr<RingProducer>> RingProducer::create(const std::string& directory, std::uint32_t slots) {
  std::unique_ptr<RingProducer> ring(new RingProducer(slots));
  NETSERV_ASSIGN(ring->file_, create_ring_file(directory, slots));
  NETSERV_ASSIGN(ring->container_event_, make_event_fd());
  NETSERV_ASSIGN(ring->container_waits_, make_waiting_fd(ring->container_event_.get()));
  NETSERV_ASSIGN(ring->forwarder_event_, make_event_fd());
  NETSERV_ASSIGN(ring->map_, RingMapping::map(ring->file_.get(), Guard::kSurviveSigbus));

  RingHeader* header = new (&ring->map_->header()) RingHeader{};
  header->magic = kMagic;
  header->version = kVersion;
  header->slots = slots;
  header->slot_bytes = kSlotBytes;
  header->emit_slots = kEmitSlots;
  // Low slots first: a lightly loaded ring stays within a few pages.
  for (std::uint32_t i = 0; i < slots; ++i) ring->free_[i] = static_cast<std::uint16_t>(slots - 1 - i);
  return ring;
}

std::optional<std::uint32_t> RingProducer::stage(ByteSpan packet, const PacketMeta& meta) {
  if (free_count_ == 0 || packet.empty() || packet.size() > kSlotBytes || corrupted()) return {};
  std::uint32_t slot = free_[--free_count_];
  slots_[slot] = Slot::kSubmitted;
  ++in_container_;
  std::memcpy(map_->window_slot(slot), packet.data(), packet.size());
  SubmitDescriptor& d = map_->submit()[submit_head_ % kSlots];
  d.slot = slot;
  d.offset = 0;
  d.length = static_cast<std::uint32_t>(packet.size());
  d.original_length = meta.original_length;
  d.received_ns = meta.received_ns;
  d.modules = meta.modules;
  d.ingress = meta.ingress;
  d.vlan = meta.vlan;
  d.flags = meta.flags;
  d.lost = meta.lost;
  ++submit_head_;
  return slot;
}

void RingProducer::publish() {
  if (published_ == submit_head_ || corrupted()) return;
  published_ = submit_head_;
  map_->header().forwarder_core.store(core_here(), std::memory_order_relaxed);
  // seq_cst on both sides: either we see its flag or it sees our index (layout.h, "Sleeping").
  map_->header().submit_head.store(submit_head_, std::memory_order_seq_cst);
  if (map_->header().container_waiting.load(std::memory_order_seq_cst) == 0) return;
  kick();
}

void RingProducer::kick() {
  ++counters_.wakeups;
  signal_event_fd(container_event_.get());
}

std::size_t RingProducer::reap(std::span<Reaped> out) {
  if (corrupted()) return 0;
  std::uint32_t ready = map_->header().complete_head.load(std::memory_order_acquire) - complete_tail_;
  if (ready > kSlots) {
    corrupt_reason_ = "completion index further ahead than the queue is long";
    return 0;
  }
  std::size_t given = 0;
  for (; ready > 0 && given < out.size(); --ready, ++complete_tail_) {
    Completion c;  // one read of shared memory, then only the copy
    std::memcpy(&c, &map_->complete()[complete_tail_ % kSlots], sizeof c);
    if (c.slot >= slot_count_) {
      ++counters_.bad_completions;
      continue;
    }
    if (slots_[c.slot] == Slot::kAbandoned) {
      ++counters_.late_completions;
      free_slot(c.slot);
      continue;
    }
    if (slots_[c.slot] != Slot::kSubmitted) {
      ++counters_.bad_completions;
      continue;
    }
    slots_[c.slot] = Slot::kHeld;
    --in_container_;
    Reaped r{c.slot, c.length, c.verdict, c.changed == 1, c.skipped != 0, c.decided_by};
    if (c.verdict > NETSERV_STEAL || (r.changed && (c.length == 0 || c.length > kSlotBytes))) {
      ++counters_.bad_completions;
      r = Reaped{c.slot, 0, NETSERV_PASS, false, true, 0xff};
    }
    out[given++] = r;
  }
  map_->header().complete_tail.store(complete_tail_, std::memory_order_release);
  if (map_->faulted()) {
    for (std::size_t i = 0; i < given; ++i) {
      slots_[out[i].slot] = Slot::kSubmitted;
      ++in_container_;
    }
    return 0;
  }
  return given;
}

void RingProducer::copy_out(std::uint32_t slot, std::span<std::byte> to) const {
  if (slot >= slot_count_ || to.size() > kSlotBytes) return;
  std::memcpy(to.data(), map_->window_slot(slot), to.size());
}

void RingProducer::free_slot(std::uint32_t slot) {
  slots_[slot] = Slot::kFree;
  free_[free_count_++] = static_cast<std::uint16_t>(slot);
}

void RingProducer::release(std::uint32_t slot) {
  NETSERV_CHECK(slot < slot_count_ && slots_[slot] == Slot::kHeld);
  free_slot(slot);
}

void RingProducer::abandon(std::uint32_t slot) {
  NETSERV_CHECK(slot < slot_count_ && slots_[slot] == Slot::kSubmitted);
  slots_[slot] = Slot::kAbandoned;
  --in_container_;
}

std::optional<RingProducer::Emitted> RingProducer::take_emitted() {
  // Bounded, so that a container that keeps writing nonsense does not hold the forwarder here.
  for (std::uint32_t looked = 0; looked < kEmitSlots && !corrupted(); ++looked) {
    std::uint32_t ready = map_->header().emit_head.load(std::memory_order_acquire) - emit_tail_;
    if (ready == 0) return {};
    if (ready > kEmitSlots) {
      corrupt_reason_ = "emit index further ahead than the queue is long";
      return {};
    }
    EmitDescriptor d;
    std::memcpy(&d, &map_->emit()[emit_tail_ % kEmitSlots], sizeof d);
    bool good = d.slot < kEmitSlots && d.length > 0 && d.length <= kSlotBytes && d.module < kMaxModulesPerContainer;
    if (good) std::memcpy(emitted_.data(), map_->emit_slot(d.slot), d.length);
    ++emit_tail_;
    map_->header().emit_tail.store(emit_tail_, std::memory_order_release);
    if (map_->faulted()) return {};
    if (good) return Emitted{ByteSpan(emitted_).first(d.length), ModuleSlot(d.module)};
    ++counters_.bad_emits;
  }
  return {};
}

bool RingProducer::prepare_wait() {
  RingHeader& h = map_->header();
  h.forwarder_waiting.store(1, std::memory_order_seq_cst);
  if (corrupted()) return true;
  bool idle = h.complete_head.load(std::memory_order_seq_cst) == complete_tail_ &&
              h.emit_head.load(std::memory_order_seq_cst) == emit_tail_;
  if (!idle) h.forwarder_waiting.store(0, std::memory_order_relaxed);
  return idle;
}

void RingProducer::end_wait() {
  const RingHeader& h = map_->header();
  bool idle = h.complete_head.load(std::memory_order_acquire) == complete_tail_ &&
              h.emit_head.load(std::memory_order_acquire) == emit_tail_;
  if (idle) ++counters_.idle_wakeups;
  map_->header().forwarder_waiting.store(0, std::memory_order_relaxed);
  drain_event_fd(forwarder_event_.get());
}

}  // namespace netserv::ring
