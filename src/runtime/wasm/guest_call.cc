#include "runtime/wasm/guest_call.h"

#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "runtime/wasm/object.h"
#include "runtime/wasm/wasm_runtime.h"

#if !defined(__x86_64__)
#error "guest_call_x86_64.S is all there is"
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

extern "C" {
std::uint32_t netserv_guest_enter(netserv::runtime::GuestContext*, netserv::runtime::GuestThread::Function, void*,
                                  std::uint32_t);
[[noreturn]] void netserv_guest_leave(netserv::runtime::GuestContext*);
}

namespace netserv::runtime {

GuestContext g_guest;
static_assert(offsetof(GuestContext, host_stack) == 0 && offsetof(GuestContext, stack_top) == 8 &&
              offsetof(GuestContext, in_guest) == 16 && offsetof(GuestContext, result) == 20);

namespace {

constexpr std::size_t kStackGuard = 256u << 10;  // also for frames that stack probes step through
constexpr std::size_t kHostReserve = 128u << 10;  // of the module stack, for host functions
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kSignalStack = 256u << 10;
#else
constexpr std::size_t kSignalStack = 32u << 10;
#endif

GuestThread* current = nullptr;
struct sigaction earlier_segv, earlier_bus;

void redirect(ucontext_t* context, std::uint32_t reason) {
  g_guest.reason = reason;
  g_guest.in_guest = 0;
  context->uc_mcontext.gregs[REG_RIP] = reinterpret_cast<greg_t>(&netserv_guest_leave);
  context->uc_mcontext.gregs[REG_RDI] = reinterpret_cast<greg_t>(&g_guest);
}

void pass_on(const struct sigaction& earlier, int signal, siginfo_t* info, void* context) {
  if ((earlier.sa_flags & SA_SIGINFO) != 0 && earlier.sa_sigaction != nullptr) {
    earlier.sa_sigaction(signal, info, context);
    return;
  }
  if (earlier.sa_handler != SIG_DFL && earlier.sa_handler != SIG_IGN && earlier.sa_handler != nullptr) {
    earlier.sa_handler(signal);
    return;
  }
  // Faults again on return, without us: the process dies of it as it should.
  struct sigaction fatal {};
  fatal.sa_handler = SIG_DFL;
  sigaction(signal, &fatal, nullptr);
}

void on_fault(int signal, siginfo_t* info, void* context) {
  const auto* at = static_cast<const std::byte*>(info->si_addr);
  if (g_guest.in_guest != 0 && info->si_code > 0) {
    auto* machine = static_cast<ucontext_t*>(context);
    if (at >= g_guest.memory_low && at < g_guest.memory_high)
      return redirect(machine, signal == SIGBUS ? static_cast<std::uint32_t>(Leave::kWindowGone)
                                                : static_cast<std::uint32_t>(WASM_RT_TRAP_OOB));
    if (signal == SIGSEGV && at >= g_guest.guard_low && at < g_guest.stack_low)
      return redirect(machine, WASM_RT_TRAP_EXHAUSTION);
  }
  pass_on(signal == SIGBUS ? earlier_bus : earlier_segv, signal, info, context);
}

void on_tick(int, siginfo_t*, void* context) {
  if (g_guest.in_call == 0) return;
  if (g_guest.ticked_call != g_guest.call_number) {
    g_guest.ticked_call = g_guest.call_number;
    g_guest.ticks = 0;
    return;
  }
  if (++g_guest.ticks < g_guest.tick_limit) return;
  if (g_guest.in_guest != 0)
    redirect(static_cast<ucontext_t*>(context), static_cast<std::uint32_t>(Leave::kTimeLimit));
  else
    g_guest.pending_interrupt = 1;
}

}  // namespace

int tick_signal() { return SIGRTMIN + 2; }

Result<std::unique_ptr<GuestThread>> GuestThread::make(std::size_t stack_bytes) {
  if (current != nullptr) return fail(Origin::kSystem, "wasm runtime", "there is one already in this process");
  std::unique_ptr<GuestThread> out(new GuestThread);
  current = out.get();
  out->stack_bytes_ = (stack_bytes + kHostReserve + 4095) / 4096 * 4096;
  NETSERV_TRY(out->install());
  return out;
}

Status GuestThread::install() {
  mapping_bytes_ = kStackGuard + stack_bytes_;
  mapping_ = mmap(nullptr, mapping_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping_ == MAP_FAILED) {
    mapping_ = nullptr;
    return fail_errno("wasm runtime", "mmap of the module stack", errno);
  }
  auto* low = static_cast<std::byte*>(mapping_) + kStackGuard;
  if (mprotect(low, stack_bytes_, PROT_READ | PROT_WRITE) != 0)
    return fail_errno("wasm runtime", "mprotect of the module stack", errno);
  signal_stack_ = mmap(nullptr, kSignalStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (signal_stack_ == MAP_FAILED) {
    signal_stack_ = nullptr;
    return fail_errno("wasm runtime", "mmap of the signal stack", errno);
  }
  stack_t alternate{};
  alternate.ss_sp = signal_stack_;
  alternate.ss_size = kSignalStack;
  if (sigaltstack(&alternate, &old_signal_stack_) != 0) return fail_errno("wasm runtime", "sigaltstack", errno);
  signal_stack_set_ = true;

  g_guest = GuestContext{};
  g_guest.stack_low = low;
  g_guest.guard_low = static_cast<const std::byte*>(mapping_);
  g_guest.stack_top = low + stack_bytes_ - 64;

  struct sigaction fault {};
  fault.sa_sigaction = on_fault;
  fault.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&fault.sa_mask);
  struct sigaction tick {};
  tick.sa_sigaction = on_tick;
  tick.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigemptyset(&tick.sa_mask);
  sigaction(SIGSEGV, nullptr, &earlier_segv);
  sigaction(SIGBUS, nullptr, &earlier_bus);
  if (sigaction(SIGSEGV, &fault, &old_segv_) != 0 || sigaction(SIGBUS, &fault, &old_bus_) != 0 ||
      sigaction(tick_signal(), &tick, &old_tick_) != 0)
    return fail_errno("wasm runtime", "sigaction", errno);
  handlers_set_ = true;

  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = tick_signal();
  event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
  if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer_) != 0)
    return fail_errno("wasm runtime", "timer_create", errno);
  timer_made_ = true;
  itimerspec every{};
  every.it_value.tv_nsec = every.it_interval.tv_nsec =
      std::chrono::duration_cast<std::chrono::nanoseconds>(kTick).count();
  if (timer_settime(timer_, 0, &every, nullptr) != 0) return fail_errno("wasm runtime", "timer_settime", errno);
  return {};
}

GuestThread::~GuestThread() {
  if (timer_made_) timer_delete(timer_);
  if (handlers_set_) {
    sigaction(SIGSEGV, &old_segv_, nullptr);
    sigaction(SIGBUS, &old_bus_, nullptr);
    // A tick that is on its way may not kill the process.
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    sigaction(tick_signal(), &ignore, nullptr);
  }
  if (signal_stack_set_) sigaltstack(&old_signal_stack_, nullptr);
  if (signal_stack_ != nullptr) munmap(signal_stack_, kSignalStack);
  if (mapping_ != nullptr) munmap(mapping_, mapping_bytes_);
  g_guest = GuestContext{};
  current = nullptr;
}

void GuestThread::select(void* owner, const std::byte* memory_low, const std::byte* memory_high) {
  g_guest.instance = owner;
  g_guest.memory_low = memory_low;
  g_guest.memory_high = memory_high;
}

bool GuestThread::call(Function function, void* instance, std::uint32_t argument, std::uint32_t tick_limit) {
  g_guest.tick_limit = tick_limit;
  ++g_guest.call_number;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  g_guest.pending_interrupt = 0;
  g_guest.in_call = 1;
  const bool returned = netserv_guest_enter(&g_guest, function, instance, argument) == 0;
  g_guest.in_call = 0;
  if (!returned) {
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(g_guest.stack_low, stack_bytes_);
#endif
    // Deep recursion has touched the whole stack; give all but the top back.
    madvise(static_cast<std::byte*>(mapping_) + kStackGuard, stack_bytes_ - 64 * 1024, MADV_DONTNEED);
  }
  return returned;
}

void leave(std::uint32_t reason) {
  g_guest.reason = reason;
  netserv_guest_leave(&g_guest);
}

HostSection::HostSection() {
  const auto* here = static_cast<const std::byte*>(__builtin_frame_address(0));
  const bool tight = here < g_guest.stack_low + kHostReserve;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  g_guest.in_guest = 0;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (tight) leave(WASM_RT_TRAP_EXHAUSTION);
}

void HostSection::end() {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  g_guest.in_guest = 1;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (g_guest.pending_interrupt != 0) {
    g_guest.in_guest = 0;
    leave(static_cast<std::uint32_t>(Leave::kTimeLimit));
  }
}

}  // namespace netserv::runtime
