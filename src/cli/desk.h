// One module on the desk: a stand-in for container and forwarder that has no network and no clock but the capture's.
// `netserv module run` feeds it; tests may too.
//
// Packets are judged in batches as a container does. Time is what the caller says: timers fire on the way there.
// Datagrams that the module sends are recorded, not sent; nothing is ever received. What the module changed or
// emitted gets its checksums as the forwarder makes them; the forwarder's checks of addresses are not made here.
// Fragments, and what is no IP packet or too long for a slot, pass by the module, as on a node.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "dispatch/module_runtime.h"
#include "netserv/abi.h"
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

class Desk final : private dispatch::ModuleHost {
 public:
  // Time at which the first packet should come, so that no clock reads zero.
  static constexpr TimePoint kStart{std::chrono::seconds(1)};

  // `batch` 1..NETSERV_BATCH_MAX. An error if there is no window, or the module does not load or start.
  static Result<std::unique_ptr<Desk>> open(dispatch::ModuleRuntime& runtime, const dispatch::ModuleSpec& spec,
                                            std::uint32_t batch, DeskEvents events);
  ~Desk() override;
  Desk(const Desk&) = delete;

  // An error (of the publisher) if the module trapped, now or before.
  Status packet(TimePoint time, ByteSpan bytes, std::uint32_t original_length, std::uint16_t vlan);
  // Judges what waits and runs the timers up to `time`.
  Status advance(TimePoint time);
  // Calls the module's stop function.
  Status stop();

  const std::map<std::string, std::uint64_t>& counters() const { return counters_; }

 private:
  struct Timer {
    TimePoint due;
    Duration repeat;
  };
  struct Waiting {
    std::uint64_t number;
    TimePoint time;
    std::optional<PacketHeaders> before;
  };

  Desk(std::uint32_t batch, DeskEvents events) : batch_(batch), events_(std::move(events)) {}
  Status make_window(dispatch::ModuleRuntime& runtime);
  Status flush();
  Status ran(const dispatch::Module::Run& run, std::string_view what);

  bool emit(ModuleSlot from, std::span<const std::byte> packet) override;
  void log(ModuleSlot from, int level, std::string_view text) override;
  void set_timer(ModuleSlot from, std::uint32_t id, Duration after, Duration repeat) override;
  void cancel_timer(ModuleSlot from, std::uint32_t id) override { (void)from, timers_.erase(id); }
  TimePoint now() override { return now_; }
  void count(ModuleSlot from, std::string_view counter, std::uint64_t n) override;
  int udp_open(ModuleSlot from, int family, std::uint16_t local_port) override;
  int udp_send(ModuleSlot from, int handle, int family, std::span<const std::byte> address, std::uint16_t port,
               std::span<const std::byte> data) override;
  int udp_receive(ModuleSlot from, int handle, int& family, std::span<std::byte> address, std::uint16_t& port,
                  std::span<std::byte> out) override;
  int udp_close(ModuleSlot from, int handle) override;

  std::uint32_t batch_;
  DeskEvents events_;
  std::unique_ptr<dispatch::Module> module_;
  std::string name_;
  std::byte* window_ = nullptr;
  TimePoint now_ = kStart;
  std::uint64_t packets_ = 0;
  std::vector<Waiting> waiting_;
  std::array<dispatch::PacketView, NETSERV_BATCH_MAX> views_;
  std::map<std::uint32_t, Timer> timers_;
  std::map<std::string, std::uint64_t> counters_;
  std::map<int, int> sockets_;  // handle to family
  int next_handle_ = 0;
  std::optional<Error> trapped_;
};

}  // namespace netserv::cli
