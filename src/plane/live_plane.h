// A forwarding plane of the real node, as the forwarder's main() drives it: it has a descriptor to wait on, gives
// batches, and is told which packets are wanted.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "forward/packet_plane.h"
#include "wire/filter.h"

namespace netserv::plane {

class LivePlane : public forward::PacketPlane {
 public:
  virtual std::string name() const = 0;    // "netfilter"
  virtual std::string detail() const = 0;  // for people
  // Readable when receive() has something; -1 if the plane never has.
  virtual int fd() const = 0;
  // The next packets, at most a batch; valid as packets until finished, the span until the next call.
  virtual std::span<const forward::Packet> receive(TimePoint now) = 0;
  // Which packets to deliver from now on; may deliver more. On an error what was wanted before stays in force.
  virtual Status want(const std::vector<Filter>& filters) = 0;
  // Metric names without prefix: losses and failures that the forwarder's core does not see.
  virtual std::map<std::string, std::uint64_t> counters() = 0;
};

}  // namespace netserv::plane
