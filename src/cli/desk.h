// One module on the desk: a node in memory, without a network and with no clock but the capture's. `netserv module run`
// feeds it; tests may too.
//
// Packets go the way they go on a node: a plane (plane/fake), the forwarder's core with its checks and checksums, a
// ring, the dispatcher, the module. The module is in the path of all packets and its publisher may speak for every
// address. Fragments, and what is no IP packet, is signalling or too long for a slot, pass by the module, as on a node.
// Time is what the caller says: timers fire on the way there. Datagrams that the module sends are recorded, not sent;
// nothing is ever received. A trap ends the run; its batch passes by.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "cli/desk_container.h"
#include "dispatch/module_runtime.h"
#include "forward/forwarder.h"
#include "netserv/abi.h"
#include "plane/fake/fake_plane.h"
#include "plane/ring_port.h"
#include "wire/ip/packet.h"

namespace netserv::cli {

struct JudgedPacket {
  std::uint64_t number = 0;  // from 1
  TimePoint time;
  std::optional<PacketHeaders> before;  // of the packet as it came
  std::uint32_t length = 0;
  bool bypassed = false;  // the module did not see it
  dispatch::Verdict verdict = dispatch::Verdict::kPass;
  bool changed = false;
  ByteSpan bytes;  // as it goes on or back; of the packet as it came if dropped or stolen. Gone after the call.
};

struct SentDatagram {
  TimePoint time;
  IpAddress to;
  std::uint16_t port = 0;
  std::string data;
};

// What came out of a run; the desk calls, in order of time.
struct DeskEvents {
  std::function<void(const JudgedPacket&)> packet;
  std::function<void(TimePoint, ByteSpan)> emitted;
  std::function<void(const SentDatagram&)> datagram;
  std::function<void(TimePoint, int level, std::string_view text)> log;
};

class Desk final {
 public:
  // Time at which the first packet should come, so that no clock reads zero.
  static constexpr TimePoint kStart{std::chrono::seconds(1)};

  // `batch` 1..NETSERV_BATCH_MAX. An error if there is no window, or the module does not load or start.
  static Result<std::unique_ptr<Desk>> open(dispatch::ModuleRuntime& runtime, const dispatch::ModuleSpec& spec,
                                            std::uint32_t batch, DeskEvents events);
  Desk(const Desk&) = delete;

  // An error (of the publisher) if the module trapped, now or before.
  Status packet(TimePoint time, ByteSpan bytes, std::uint32_t original_length, std::uint16_t vlan);
  // Judges what waits and runs the timers up to `time`.
  Status advance(TimePoint time);
  // Calls the module's stop function.
  Status stop();

  std::map<std::string, std::uint64_t> counters() const { return counters_.value_or(container_->counters()); }
  // What the forwarder refused of the module's changes and own packets, by its counters' names (refused_rate, ...).
  std::map<std::string, std::uint64_t> refused() const;

 private:
  struct Waiting {
    std::uint64_t number;
    TimePoint time;
    std::optional<PacketHeaders> before;
    std::uint32_t length;
    std::optional<dispatch::PacketJob> job;  // once the container had it
  };

  Desk(std::string name, std::uint32_t batch, DeskEvents events)
      : name_(std::move(name)), batch_(batch), events_(std::move(events)) {}
  Status set_up(dispatch::ModuleRuntime& runtime, const dispatch::ModuleSpec& spec);
  Status flush();
  void say(const plane::FakePlane::Ended& ended);
  void poll();
  Status still_well() const { return trapped_ ? Status(fail(*trapped_)) : Status(); }

  const std::string name_;
  const std::uint32_t batch_;
  DeskEvents events_;
  TimePoint now_ = kStart;
  const char* calling_ = "netserv_start";
  plane::FakePlane plane_;
  forward::ForwarderEvents no_events_;
  forward::Forwarder forwarder_{plane_, no_events_};
  std::unique_ptr<DeskContainer> container_;
  std::vector<forward::Packet> batch_in_;
  std::vector<Waiting> waiting_;  // of the batch; the plane's numbers are theirs in order
  std::uint64_t packets_ = 0;     // all, whether a plane's packet or not
  std::uint64_t plane_packets_ = 0;
  std::optional<std::map<std::string, std::uint64_t>> counters_;  // once stopped
  std::optional<Error> trapped_;
};

}  // namespace netserv::cli
