// A forwarding plane in memory: packets are put in by hand, and what became of them is kept to look at. For
// tests, `netserv module run` and the bench.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "forward/packet_plane.h"

namespace netserv::plane {

class FakePlane final : public forward::PacketPlane {
 public:
  // What became of packet `number` (counted from 0, in order of make()).
  struct Ended {
    std::uint64_t number = 0;
    forward::Fate fate = forward::Fate::kPass;
    Bytes bytes;  // as it left; for kPass as it came
  };

  // A packet for Forwarder::on_packets(); lives in this plane until it is finished.
  forward::Packet make(ByteSpan bytes, std::uint64_t received_ns = 0, std::uint16_t ingress = 1);

  void finish(std::span<const forward::Outcome> outcomes) override;
  bool send(ByteSpan packet) override;
  void flush() override {}

  std::vector<Ended> take_ended() { return std::exchange(ended_, {}); }
  std::vector<Bytes> take_sent() { return std::exchange(sent_, {}); }
  std::size_t held() const { return held_; }

 private:
  static constexpr std::size_t kRoom = 9216;
  struct Buffer {
    bool used = false;
    std::uint64_t number = 0;
    Bytes bytes;
    std::size_t length = 0;
  };
  std::deque<Buffer> buffers_;
  std::vector<std::size_t> free_;
  std::uint64_t next_number_ = 0;
  std::size_t held_ = 0;
  std::vector<Ended> ended_;
  std::vector<Bytes> sent_;
};

}  // namespace netserv::plane
