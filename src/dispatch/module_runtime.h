// What the dispatcher needs of a module runtime (paper section 2.4): load a module, hand it batches, timers
// and events, stop it. Declared here, by its user; src/runtime implements it for WebAssembly, and nothing in
// it assumes WebAssembly: addresses are offsets into the packet window.
//
// One thread: every call on a runtime and its modules comes from the container's dispatch thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"

namespace netserv::dispatch {

enum class Verdict : std::uint8_t { kPass = 0, kDrop = 1, kReply = 2, kSteal = 3 };

// A packet in the window as a module sees it. The runtime fills the last group from what the module wrote,
// with values out of range made harmless (unknown verdict: pass; length over capacity: unchanged).
struct PacketView {
  std::uint32_t window_offset = 0;
  std::uint32_t length = 0;
  std::uint32_t capacity = 0;
  std::uint32_t original_length = 0;
  std::uint64_t received_ns = 0;
  std::uint16_t ingress = 0;
  std::uint16_t vlan = 0xffff;
  std::uint32_t flags = 0;
  std::uint32_t lost = 0;  // copies that the module did not get before this one

  Verdict verdict = Verdict::kPass;
  bool changed = false;
  std::uint32_t new_length = 0;
};

// Why a module had to be discarded.
struct Trap {
  enum class Kind : std::uint8_t {
    kUnreachable, kOutOfBounds, kDivision, kBadConversion, kIndirectCall, kStackExhausted, kTimeLimit, kExit,
    kHost, kOther
  };
  Kind kind = Kind::kOther;
  std::string text;
};
std::string_view to_string(Trap::Kind kind);

// What a module may do, asked of its container. The dispatcher implements it; building blocks call it.
// Calls come only from within a call into the module.
class ModuleHost {
 public:
  virtual ~ModuleHost() = default;
  // False if there is no room now. `packet` is copied.
  virtual bool emit(ModuleSlot from, std::span<const std::byte> packet) = 0;
  virtual void log(ModuleSlot from, int level, std::string_view text) = 0;
  virtual void set_timer(ModuleSlot from, std::uint32_t id, Duration after, Duration repeat) = 0;
  virtual void cancel_timer(ModuleSlot from, std::uint32_t id) = 0;
  virtual TimePoint now() = 0;
  virtual void count(ModuleSlot from, std::string_view counter, std::uint64_t n) = 0;
  // Sockets in the container's network namespace; negative errno on failure. Handles are per module.
  virtual int udp_open(ModuleSlot from, int family, std::uint16_t local_port) = 0;
  virtual int udp_send(ModuleSlot from, int handle, int family, std::span<const std::byte> address,
                       std::uint16_t port, std::span<const std::byte> data) = 0;
  // Fills family, address (16 bytes) and port of the sender; returns bytes or negative errno.
  virtual int udp_receive(ModuleSlot from, int handle, int& family, std::span<std::byte> address,
                          std::uint16_t& port, std::span<std::byte> out) = 0;
  virtual int udp_close(ModuleSlot from, int handle) = 0;
};

struct ModuleSpec {
  ModuleId id;
  ModuleSlot slot;
  std::string object_path;                        // the compiled module in the module cache
  std::map<std::string, std::string> properties;  // without the netserv.* ones
  std::vector<std::string> blocks;                // granted building blocks, "packet/1"
  std::uint32_t memory_pages = 0;                 // cap on linear memory, 64 KiB pages
};

// A running module. Once a call has returned a Trap the instance is dead: destroy it; all later calls trap.
class Module {
 public:
  using Run = tl::expected<void, Trap>;
  virtual ~Module() = default;
  virtual bool handles_packets() const = 0;
  // At most NETSERV_BATCH_MAX packets. On a trap the views' verdicts are undefined.
  virtual Run process(std::span<PacketView> batch) = 0;
  virtual Run timer(std::uint32_t id) = 0;
  virtual Run readable(int handle) = 0;
  virtual Run replace_properties(std::map<std::string, std::string> properties) = 0;
  virtual Run stop() = 0;
};

// `bytes` bytes of file `fd` from `offset` on, at `at` of the packet window. Whole pages.
struct WindowPart {
  int fd = -1;
  std::size_t offset = 0;
  std::uint32_t at = 0;
  std::size_t bytes = 0;
};

class ModuleRuntime {
 public:
  virtual ~ModuleRuntime() = default;
  virtual std::string_view name() const = 0;  // "wasm"
  // Loads, maps the current window, and runs the module's start function. `host` outlives the module. A trap or
  // a refusal while starting is an Error (origin publisher) that names the module.
  virtual Result<std::unique_ptr<Module>> load(const ModuleSpec& spec, ModuleHost& host) = 0;
  // The packet window, from its start on and without gaps, mapped into every loaded module and into those to come.
  // Replaces the one before. The runtime duplicates the descriptors.
  virtual Status set_window(const std::vector<WindowPart>& parts) = 0;
};

}  // namespace netserv::dispatch
