// A forwarding plane of the real node, as the forwarder drives it: told which packets are wanted, it gives them by its
// parts, one for each of the forwarder's workers.
#pragma once

#include <cstddef>
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

// A worker's share: a descriptor to wait on, batches of packets, the way out for them. Used by its worker's thread
// alone, and packets never cross from one part to another.
class PlanePart : public forward::PacketPlane {
 public:
  // Readable when receive() has something; -1 if it never has. It may become another one; the one before is still open then.
  virtual int fd() const = 0;
  // The next packets, at most a batch; valid as packets until finished, the span until the next call.
  virtual std::span<const forward::Packet> receive(TimePoint now) = 0;
  // Before this thread waits for fd(). False if there are packets already.
  virtual bool arm() { return true; }
  // Blocks until receive() has something, or for a few milliseconds; false if it has nothing by then, or if a plane cannot
  // wait. While this thread is on its way to the first packet, the others cost less than with an event loop listening to fd().
  virtual bool await() { return false; }
  // Under load packets may wait for others to come, with whom they leave: there are such. When none have come for a while,
  // let_go() sends them.
  virtual bool holds() const { return false; }
  virtual void let_go() {}
  // Under load, each time packets have been let gather: for which share of the time since they last were, or since they were
  // waited for, this thread and the containers on its core had work.
  virtual void worked(double /*share*/) {}
  // receive() drives the interfaces: with packets coming, nobody wakes this thread.
  virtual bool polls_itself() const { return false; }
  // Called at least every kAliveInterval: a plane may stop delivering when it is not.
  static constexpr std::chrono::milliseconds kAliveInterval{40};
  virtual void alive(TimePoint) {}
  // Metric names without prefix: losses and failures that the forwarder's core does not see. They add up over parts.
  virtual std::map<std::string, std::uint64_t> counters() = 0;
};

// The whole, used by the thread of part 0.
class LivePlane {
 public:
  virtual ~LivePlane() = default;
  virtual std::string name() const = 0;    // "netfilter"
  virtual std::string detail() const = 0;  // for people
  virtual std::size_t parts() const = 0;
  virtual PlanePart& part(std::size_t number) = 0;
  // Under load, how long packets are best let come in from the end of one batch to the next.
  virtual Duration gather() const { return Duration::zero(); }
  // Which packets to deliver from now on; may deliver more. On an error what was wanted before stays in force.
  virtual Status want(const std::vector<forward::Wanted>& wanted) = 0;
  // Called every kAliveInterval: interfaces come and go.
  virtual void look_around(TimePoint) {}
  // Observers' copies of packets that the plane forwards itself, at most `most` (16 at least), a call for each run sampled alike.
  // The others stay with the kernel. Gives how many there were; 0: none is left.
  using TakeCopies = std::function<void(std::span<const forward::Packet>, std::uint32_t sampled_one_in)>;
  virtual std::size_t take_copies(std::size_t /*most*/, const TakeCopies&) { return 0; }
  // Copies that there was no room for, since the start.
  virtual std::uint64_t copies_lost() { return 0; }
  // Beside the parts'.
  virtual std::map<std::string, std::uint64_t> counters() { return {}; }

  // How something is done to each part by its own thread, then `then` by this one. Until it is set this thread does it
  // all at once.
  using OnParts = std::function<void(std::function<void(std::size_t part)> each, std::function<void()> then)>;
  void set_on_parts(OnParts on_parts) { on_parts_ = std::move(on_parts); }

 protected:
  void on_parts(const std::function<void(std::size_t part)>& each, const std::function<void()>& then) {
    if (on_parts_) return on_parts_(each, then);
    for (std::size_t i = 0; i < parts(); ++i) each(i);
    then();
  }

 private:
  OnParts on_parts_;
};

}  // namespace netserv::plane
