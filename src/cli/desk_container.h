// The container on the desk: the dispatcher over the far side of a ring, as in netserv-container, run by hand. Time is
// what the caller says; datagrams that the module sends are given to the caller, and none is ever received.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dispatch/dispatcher.h"
#include "ring/ring_consumer.h"
#include "ring/ring_producer.h"
#include "wire/ip/address.h"

namespace netserv::cli {

class DeskContainer final : private dispatch::Surroundings {
 public:
  struct Events {
    std::function<void(IpAddress to, std::uint16_t port, std::string_view data)> datagram;
    std::function<void(int level, std::string_view text)> log;
    std::function<void(const std::string& reason)> trapped;
  };

  // The far side of `ring`, with the module loaded and started.
  static Result<std::unique_ptr<DeskContainer>> open(ring::RingProducer& ring, dispatch::ModuleRuntime& runtime,
                                                     const dispatch::ModuleSpec& spec, TimePoint now, Events events);
  ~DeskContainer() override;
  DeskContainer(const DeskContainer&) = delete;

  // One batch of what is in the ring: what became of each packet, in the ring's order. Until the next call.
  std::span<const dispatch::PacketJob> run(TimePoint now);
  std::optional<TimePoint> next_deadline() const { return dispatcher_.next_deadline(); }
  void run_due(TimePoint now);
  void stop(TimePoint now);
  std::map<std::string, std::uint64_t> counters() const;

 private:
  DeskContainer(std::unique_ptr<ring::RingConsumer> ring, dispatch::ModuleRuntime& runtime, TimePoint now, Events events)
      : ring_(std::move(ring)), events_(std::move(events)), now_(now), dispatcher_(runtime, *this) {}

  TimePoint now() override { return now_; }
  bool emit(ModuleSlot from, std::span<const std::byte> packet) override { return ring_->emit(from, packet); }
  void report(ipc::FromContainer event) override;
  int udp_open(ModuleSlot from, int family, std::uint16_t local_port) override;
  int udp_send(ModuleSlot from, int handle, int family, std::span<const std::byte> address, std::uint16_t port,
               std::span<const std::byte> data) override;
  int udp_receive(ModuleSlot from, int handle, int& family, std::span<std::byte> address, std::uint16_t& port,
                  std::span<std::byte> out) override;
  int udp_close(ModuleSlot from, int handle) override;
  void udp_close_all(ModuleSlot) override { sockets_.clear(); }

  std::unique_ptr<ring::RingConsumer> ring_;
  Events events_;
  TimePoint now_;
  std::map<int, int> sockets_;  // handle to family
  int next_handle_ = 0;
  std::array<ring::SubmitDescriptor, NETSERV_BATCH_MAX> descriptors_;
  std::array<dispatch::PacketJob, NETSERV_BATCH_MAX> jobs_;
  dispatch::Dispatcher dispatcher_;  // last: its modules use all of the above
};

}  // namespace netserv::cli
