// A forwarding plane of the real node, as the forwarder's main() drives it: it has a descriptor to wait on, gives
// batches, and is told which packets are wanted.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "forward/packet_plane.h"

namespace netserv::plane {

class LivePlane : public forward::PacketPlane {
 public:
  virtual std::string name() const = 0;    // "netfilter"
  virtual std::string detail() const = 0;  // for people
  // Readable when receive() has something; -1 if the plane never has.
  virtual int fd() const = 0;
  // The next packets, at most a batch; valid as packets until finished, the span until the next call.
  virtual std::span<const forward::Packet> receive(TimePoint now) = 0;
  // receive() drives the interfaces: with packets coming, nobody wakes this process.
  virtual bool polls_itself() const { return false; }
  // Which packets to deliver from now on; may deliver more. On an error what was wanted before stays in force.
  virtual Status want(const std::vector<forward::Wanted>& wanted) = 0;
  // Called at least every kAliveInterval: a plane may stop delivering when it is not.
  static constexpr std::chrono::milliseconds kAliveInterval{40};
  virtual void alive(TimePoint) {}
  // Observers' copies of packets that the plane forwards itself, a call for each run sampled alike.
  using TakeCopies = std::function<void(std::span<const forward::Packet>, std::uint32_t sampled_one_in)>;
  virtual void take_copies(const TakeCopies&) {}
  // Copies that there was no room for, since the start.
  virtual std::uint64_t copies_lost() { return 0; }
  // Metric names without prefix: losses and failures that the forwarder's core does not see.
  virtual std::map<std::string, std::uint64_t> counters() = 0;
};

}  // namespace netserv::plane
