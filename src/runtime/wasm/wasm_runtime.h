// The WebAssembly runtime: dispatch::ModuleRuntime over objects that src/compile made from .wasm files.
//
// Each module has a linear memory of its own in a reservation of 8 GiB and a guard, so loads and stores carry no
// bounds check: a wild one faults, and the SIGSEGV handler ends the call as a trap if the address lies in the
// reservation of the module that is running (anything else kills the process as it should). Modules run on a
// stack of their own with a guard; a call enters it and a trap leaves it without setjmp. A timer on the thread's
// CPU clock interrupts a call that takes too long; it costs no system call per batch and nothing while idle.
//
// Signals taken process-wide while a runtime lives: SIGSEGV, SIGBUS (earlier handlers get what isn't a module's)
// and kTickSignal. One runtime at a time, made, used and destroyed on one thread; its modules die before it.
// System calls that a container's seccomp filter must leave: mmap, mprotect (never executable), munmap, madvise,
// openat, timer_create, timer_settime, timer_delete, sigaltstack, rt_sigreturn, getrandom.
// Executable memory comes from dlopen alone: private, read-only mappings of the object.
#pragma once

#include <chrono>
#include <memory>

#include "dispatch/module_runtime.h"

namespace netserv::runtime {

struct WasmOptions {
  // CPU time of one call into a module, checked every 10 ms; for load's start functions ten times as much.
  std::chrono::milliseconds call_limit{100};
  std::size_t stack_bytes = 1u << 20;
  // Hard cap on any module's memory, 64 KiB pages, whatever its ModuleSpec says.
  std::uint32_t memory_pages = 16384;
};

// SIGRTMIN + 2.
int tick_signal();

Result<std::unique_ptr<dispatch::ModuleRuntime>> make_wasm_runtime(const WasmOptions& options = {});

}  // namespace netserv::runtime
