// Entering and leaving a module: the one place that knows how control gets in and, when the module misbehaves,
// out again.
//
// A call switches to the module stack and jumps in (guest_call_x86_64.S). It ends in one of three ways, all of
// which restore the caller's stack and callee-saved registers from the same frame, so nothing has to be saved as
// setjmp would: the function returns; a host function calls leave(); or a signal handler rewrites the interrupted
// context to the leaving code. Abandoned frames are never unwound: host functions hold no destructors when they
// leave.
//
// A signal is a module's trap only if `in_guest` is set: host functions clear it (HostSection), so a fault in our
// own code is never taken for one. One GuestThread at a time, on the thread that makes it.
#pragma once

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>

#include "base/result.h"

namespace netserv::runtime {

// Why a call ended; the first are wasm_rt_trap_t's.
enum class Leave : std::uint32_t { kReturned = 0, kTimeLimit = 100, kExit = 101, kHostPointer = 102, kWindowGone = 103, kNoMemory = 104 };

// Shared with the assembly: the offsets of the first four are known there.
struct GuestContext {
  void* host_stack = nullptr;    // 0
  void* stack_top = nullptr;     // 8
  std::uint32_t in_guest = 0;    // 16
  std::uint32_t result = 0;      // 20

  std::uint32_t reason = 0;      // Leave or wasm_rt_trap_t, when left
  std::uint32_t exit_code = 0;
  std::uint32_t in_call = 0;
  std::uint32_t pending_interrupt = 0;
  std::uint64_t call_number = 0;
  std::uint64_t ticked_call = 0;
  std::uint32_t ticks = 0;
  std::uint32_t tick_limit = 0;
  const std::byte* memory_low = nullptr;  // reservation of the module that runs
  const std::byte* memory_high = nullptr;
  const std::byte* stack_low = nullptr;   // lowest usable byte
  const std::byte* guard_low = nullptr;   // of the stack's guard
  void* instance = nullptr;               // WasmInstance of the call
};

// The context of the running GuestThread; host functions use it, within a call.
extern GuestContext g_guest;

class GuestThread {
 public:
  static Result<std::unique_ptr<GuestThread>> make(std::size_t stack_bytes);
  ~GuestThread();
  GuestThread(const GuestThread&) = delete;
  GuestThread& operator=(const GuestThread&) = delete;

  using Function = std::uint32_t (*)(void* instance, std::uint32_t argument);
  // What the module may touch during calls from now on: its reservation.
  void select(void* owner, const std::byte* memory_low, const std::byte* memory_high);
  // True if it returned (result in g_guest.result); false if it left (g_guest.reason).
  bool call(Function function, void* instance, std::uint32_t argument, std::uint32_t tick_limit);

  static constexpr std::chrono::milliseconds kTick{10};

 private:
  GuestThread() = default;
  Status install();
  void* mapping_ = nullptr;
  std::size_t mapping_bytes_ = 0;
  std::size_t stack_bytes_ = 0;
  void* signal_stack_ = nullptr;
  stack_t old_signal_stack_{};
  struct sigaction old_segv_ {}, old_bus_{}, old_tick_{};
  timer_t timer_{};
  bool timer_made_ = false, handlers_set_ = false, signal_stack_set_ = false;
};

// Ends the call from within a host function. Nothing that needs a destructor may be alive above the call.
[[noreturn]] void leave(std::uint32_t reason);

// For the length of a host function: faults are ours, and a time limit that falls in it acts at its end. Leaves
// at once (stack exhausted) if the module left less stack than host code may need.
class HostSection {
 public:
  HostSection();
  // Back to the module; leaves if the time limit passed meanwhile.
  void end();
};

}  // namespace netserv::runtime
