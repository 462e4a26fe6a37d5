// A plane to which no packet ever comes: for running the forwarder where there is nothing to forward.
#pragma once

#include "plane/live_plane.h"

namespace netserv::plane {

class IdlePart final : public PlanePart {
 public:
  int fd() const override { return -1; }
  std::span<const forward::Packet> receive(TimePoint) override { return {}; }
  std::map<std::string, std::uint64_t> counters() override { return {}; }
  void finish(std::span<const forward::Outcome>) override {}
  bool send(ByteSpan) override { return false; }
  void flush() override {}
};

class IdlePlane final : public LivePlane {
 public:
  explicit IdlePlane(std::size_t workers) : parts_(workers) {}
  std::string name() const override { return "fake"; }
  std::string detail() const override { return "no packets"; }
  std::size_t parts() const override { return parts_.size(); }
  PlanePart& part(std::size_t number) override { return parts_[number]; }
  Status want(const std::vector<forward::Wanted>&) override { return {}; }

 private:
  std::vector<IdlePart> parts_;
};

}  // namespace netserv::plane
