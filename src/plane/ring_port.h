// A container's ring as the forwarder's core sees it.
#pragma once

#include <memory>

#include "forward/container_port.h"
#include "ring/ring_producer.h"

namespace netserv::plane {

class RingPort final : public forward::ContainerPort {
 public:
  explicit RingPort(std::unique_ptr<ring::RingProducer> ring) : ring_(std::move(ring)) {}
  ring::RingProducer& ring() { return *ring_; }

  std::optional<std::uint32_t> stage(ByteSpan packet, const forward::PortMeta& m) override {
    return ring_->stage(packet, {m.original_length, m.received_ns, m.modules, m.ingress, m.vlan, m.flags, m.lost});
  }
  void publish() override { ring_->publish(); }
  std::size_t reap(std::span<forward::PortAnswer> out) override;
  void copy_out(std::uint32_t slot, std::span<std::byte> to) const override { ring_->copy_out(slot, to); }
  void release(std::uint32_t slot) override { ring_->release(slot); }
  void abandon(std::uint32_t slot) override { ring_->abandon(slot); }
  std::optional<forward::PortEmitted> take_emitted() override {
    auto emitted = ring_->take_emitted();
    if (!emitted) return {};
    return forward::PortEmitted{emitted->packet, emitted->module};
  }
  std::uint64_t heartbeat() const override { return ring_->heartbeat(); }
  std::string_view corrupt_reason() const override { return ring_->corrupt_reason(); }
  std::uint64_t nonsense() const override {
    const ring::RingCounters& c = ring_->counters();
    return c.bad_completions + c.bad_emits + c.idle_wakeups;
  }
  void kick() override { ring_->kick(); }

 private:
  std::unique_ptr<ring::RingProducer> ring_;
};

}  // namespace netserv::plane
