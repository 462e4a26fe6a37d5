// The dispatcher: runs a publisher's modules over packets, timers and sockets, inside the service container
// (paper sections 2.3 and 2.4).
//
// Chain. Modules stand in order of their `order` property, then age. A packet visits those whose bit is set in
// its mask. pass goes on to the next; drop, reply and steal end the chain for that packet. What modules flag as
// changed adds up. Packets are handed over in batches of at most NETSERV_BATCH_MAX.
//
// Faults. A module that traps is discarded and reported; the packets of the batch go on as if it had not been
// there, contents included. It is loaded again after kFirstBackOff, doubled on each further trap up to
// kLastBackOff, and forgiven once it has run for kForgiveAfter. Its neighbours keep their state.
//
// Pure: no system calls, no clock, no threads; time comes as an argument or from Surroundings.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dispatch/module_runtime.h"
#include "netserv/abi.h"
#include "wire/ipc/container_messages.h"

namespace netserv::dispatch {

inline constexpr Duration kFirstBackOff = std::chrono::milliseconds(100);
inline constexpr Duration kLastBackOff = std::chrono::seconds(60);
inline constexpr Duration kForgiveAfter = std::chrono::seconds(60);
inline constexpr std::uint32_t kTimersPerModule = 64;
inline constexpr Duration kShortestTimer = std::chrono::milliseconds(1);
inline constexpr std::size_t kCountersPerModule = 64;
inline constexpr std::size_t kCounterNameBytes = 64;
inline constexpr std::size_t kLogLineBytes = 1024;
inline constexpr unsigned kLogBurst = 20;
inline constexpr Duration kLogInterval = std::chrono::milliseconds(100);  // one line earns its place back

// One packet on its way through the chain. The caller fills `view`, `bytes` and `modules`; the rest is the outcome,
// meant as in ring::Completion.
struct PacketJob {
  PacketView view;
  std::byte* bytes = nullptr;  // the same memory as view.window_offset, for the host
  std::uint64_t modules = 0;

  Verdict verdict = Verdict::kPass;
  bool changed = false;
  bool skipped = true;
  std::uint8_t decided_by = 0xff;
  std::uint32_t length = 0;
};

// What the dispatcher asks of the process around it. Functions named as in ModuleHost mean the same.
class Surroundings {
 public:
  virtual ~Surroundings() = default;
  virtual TimePoint now() = 0;
  virtual bool emit(ModuleSlot from, std::span<const std::byte> packet) = 0;
  // ModuleTrapped, ModuleRestarted, ModuleLog.
  virtual void report(ipc::FromContainer event) = 0;
  virtual int udp_open(ModuleSlot from, int family, std::uint16_t local_port) = 0;
  virtual int udp_send(ModuleSlot from, int handle, int family, std::span<const std::byte> address,
                       std::uint16_t port, std::span<const std::byte> data) = 0;
  virtual int udp_receive(ModuleSlot from, int handle, int& family, std::span<std::byte> address,
                          std::uint16_t& port, std::span<std::byte> out) = 0;
  virtual int udp_close(ModuleSlot from, int handle) = 0;
  virtual void udp_close_all(ModuleSlot from) = 0;
};

class Dispatcher final : private ModuleHost {
 public:
  Dispatcher(ModuleRuntime& runtime, Surroundings& surroundings);
  ~Dispatcher() override;

  // LoadModule::object is joined to `object_folder` by the caller: `object_path` is what the runtime opens.
  Status load(const ipc::LoadModule& request, std::string object_path);
  Status update(const ipc::UpdateModule& request);
  // Calls the module's stop function. An absent module is no error.
  void unload(const ModuleId& module);
  void unload_all();

  void process(std::span<PacketJob> batch);
  void readable(ModuleSlot module, int handle);
  // Runs the timers and restarts that are due. Each repeating timer runs at most once a call.
  void run_due(TimePoint now);
  // When run_due() has work; none if there is nothing to wait for.
  std::optional<TimePoint> next_deadline() const { return deadline_; }

  std::vector<ipc::ModuleStatus> modules() const;
  ipc::ContainerStatus status() const;

 private:
  struct Entry;
  struct Timer;

  bool emit(ModuleSlot from, std::span<const std::byte> packet) override;
  void log(ModuleSlot from, int level, std::string_view text) override;
  void set_timer(ModuleSlot from, std::uint32_t id, Duration after, Duration repeat) override;
  void cancel_timer(ModuleSlot from, std::uint32_t id) override;
  TimePoint now() override { return surroundings_.now(); }
  void count(ModuleSlot from, std::string_view counter, std::uint64_t n) override;
  int udp_open(ModuleSlot from, int family, std::uint16_t local_port) override;
  int udp_send(ModuleSlot from, int handle, int family, std::span<const std::byte> address, std::uint16_t port,
               std::span<const std::byte> data) override;
  int udp_receive(ModuleSlot from, int handle, int& family, std::span<std::byte> address, std::uint16_t& port,
                  std::span<std::byte> out) override;
  int udp_close(ModuleSlot from, int handle) override;

  Entry* find(const ModuleId& module) const;
  Entry* in_slot(ModuleSlot slot) const;
  void rebuild_chain();
  void run_module(Entry& entry, std::size_t place_in_chain, std::span<PacketJob> batch);
  bool needs_snapshot(std::size_t place_in_chain, std::span<PacketJob* const> jobs) const;
  void take_snapshot(std::span<PacketJob* const> jobs);
  void restore_snapshot(std::span<PacketJob* const> jobs);
  void settle(Entry& entry, PacketJob& job, const PacketView& view);
  template <class Call>
  bool guarded(Entry& entry, Call&& call);
  void discard(Entry& entry, std::string reason);
  void restart(Entry& entry, TimePoint now);
  void update_deadline();

  ModuleRuntime& runtime_;
  Surroundings& surroundings_;
  std::array<std::unique_ptr<Entry>, kMaxModulesPerContainer> slots_;
  std::vector<Entry*> chain_;  // packet modules and others alike, in order
  std::optional<TimePoint> deadline_;
  std::array<PacketView, NETSERV_BATCH_MAX> views_;
  std::array<PacketJob*, NETSERV_BATCH_MAX> jobs_;
  std::vector<std::byte> snapshot_;  // grows on first use; chains of one module never need it
  std::uint64_t batches_ = 0, packets_ = 0;
  std::array<std::uint64_t, 8> batch_size_buckets_{};
};

}  // namespace netserv::dispatch
