// A plane to which no packet ever comes: for running the forwarder where there is nothing to forward.
#pragma once

#include "plane/live_plane.h"

namespace netserv::plane {

class IdlePlane final : public LivePlane {
 public:
  std::string name() const override { return "fake"; }
  std::string detail() const override { return "no packets"; }
  int fd() const override { return -1; }
  std::span<const forward::Packet> receive(TimePoint) override { return {}; }
  Status want(const std::vector<forward::Wanted>&) override { return {}; }
  std::map<std::string, std::uint64_t> counters() override { return {}; }
  void finish(std::span<const forward::Outcome>) override {}
  bool send(ByteSpan) override { return false; }
  void flush() override {}
};

}  // namespace netserv::plane
