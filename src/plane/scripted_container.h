// A container for tests: the far side of a ring, run by hand or by a loop, whose "module" is a function.
#pragma once

#include <functional>
#include <vector>

#include "ring/ring_consumer.h"
#include "ring/ring_producer.h"

namespace netserv::plane {

class ScriptedContainer {
 public:
  // What the module does with a packet: it may rewrite `bytes` (the whole slot) and sets the completion's
  // verdict, changed and length, which start as pass, 0 and the packet's length.
  using Script = std::function<void(const ring::SubmitDescriptor&, std::span<std::byte> bytes, ring::Completion&)>;

  static std::unique_ptr<ScriptedContainer> attach(ring::RingProducer& ring, Script script) {
    auto consumer = ring::RingConsumer::attach(sys::UniqueFd(::dup(ring.file_fd())),
                                               sys::UniqueFd(::dup(ring.container_event_fd())),
                                               sys::UniqueFd(::dup(ring.forwarder_event_fd())));
    NETSERV_CHECK(consumer.has_value());
    return std::make_unique<ScriptedContainer>(*std::move(consumer), std::move(script));
  }
  ScriptedContainer(std::unique_ptr<ring::RingConsumer> ring, Script script)
      : ring_(std::move(ring)), script_(std::move(script)) {}

  ring::RingConsumer& ring() { return *ring_; }
  // One batch. Returns its size.
  std::size_t run_once() {
    std::vector<ring::SubmitDescriptor> batch(NETSERV_BATCH_MAX);
    std::size_t n = ring_->take(batch);
    for (std::size_t i = 0; i < n; ++i) {
      ring::Completion c{batch[i].slot, batch[i].length, NETSERV_PASS, 0, 0, 0, 0};
      script_(batch[i], ring_->slot_bytes(batch[i]), c);
      ring_->complete({&c, 1});
    }
    ring_->flush();
    return n;
  }

 private:
  std::unique_ptr<ring::RingConsumer> ring_;
  Script script_;
};

}  // namespace netserv::plane
