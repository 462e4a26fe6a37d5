#include "ring/ring_memory.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <mutex>

namespace netserv::ring {
namespace {

// What the signal handler may look at: plain atomics in static memory.
struct Guarded {
  std::atomic<std::uintptr_t> base{0};  // 0: free; kClaimed: about to be set
  std::atomic<std::size_t> bytes{0};
  std::atomic<bool> faulted{false};
};
constexpr std::uintptr_t kClaimed = 1;
std::array<Guarded, RingMapping::kMaxGuarded> guarded_mappings;
struct sigaction previous_action;

void on_sigbus(int number, siginfo_t* info, void* context) {
  auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  for (Guarded& g : guarded_mappings) {
    std::uintptr_t base = g.base.load(std::memory_order_acquire);
    std::size_t bytes = g.bytes.load(std::memory_order_relaxed);
    if (base <= kClaimed || address < base || address - base >= bytes) continue;
    int saved = errno;
    void* put = ::mmap(reinterpret_cast<void*>(base), bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    errno = saved;
    if (put == MAP_FAILED) break;
    g.faulted.store(true, std::memory_order_release);
    return;
  }
  if ((previous_action.sa_flags & SA_SIGINFO) != 0 && previous_action.sa_sigaction != nullptr) {
    previous_action.sa_sigaction(number, info, context);
    return;
  }
  ::signal(SIGBUS, SIG_DFL);  // not ours: the access is repeated and ends the process
}

void install_handler() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = on_sigbus;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(SIGBUS, &action, &previous_action);
  });
}

int claim_guard(std::uintptr_t base, std::size_t bytes) {
  for (std::size_t i = 0; i < guarded_mappings.size(); ++i) {
    Guarded& g = guarded_mappings[i];
    std::uintptr_t free = 0;
    if (g.base.load(std::memory_order_relaxed) != 0) continue;
    if (!g.base.compare_exchange_strong(free, kClaimed, std::memory_order_acquire)) continue;
    g.bytes.store(bytes, std::memory_order_relaxed);
    g.faulted.store(false, std::memory_order_relaxed);
    g.base.store(base, std::memory_order_release);
    return static_cast<int>(i);
  }
  return -1;
}

}  // namespace

Result<sys::UniqueFd> create_ring_file(const std::string& directory, std::uint32_t slots) {
  sys::UniqueFd fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd) return fail_errno(directory, "cannot make a ring file", errno);
  if (int error = ::posix_fallocate(fd.get(), 0, static_cast<off_t>(file_bytes(slots))); error != 0)
    return fail_errno(directory, "cannot allocate a ring file", error);
  return fd;
}

Result<std::unique_ptr<RingMapping>> RingMapping::map(int fd, Guard guard) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return fail_errno("ring", "fstat", errno);
  auto bytes = static_cast<std::size_t>(info.st_size);
  if (bytes < file_bytes(slots_of_part(kMostParts)) || bytes > kFileBytes || bytes % kPage != 0)
    return fail(Origin::kPeer, "ring", "no ring's file has " + std::to_string(bytes) + " bytes");
  void* base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) return fail_errno("ring", "mmap", errno);
  auto slots = static_cast<std::uint32_t>((bytes - kWindowOffset) / kSlotBytes);
  int place = -1;
  if (guard == Guard::kSurviveSigbus) {
    install_handler();
    place = claim_guard(reinterpret_cast<std::uintptr_t>(base), bytes);
    if (place < 0) {
      ::munmap(base, bytes);
      return fail(Origin::kSystem, "ring", "too many rings at once");
    }
  }
  return std::unique_ptr<RingMapping>(new RingMapping(static_cast<std::byte*>(base), slots, place));
}

RingMapping::~RingMapping() {
  if (guard_ >= 0) guarded_mappings[static_cast<std::size_t>(guard_)].base.store(0, std::memory_order_release);
  ::munmap(base_, file_bytes(slots_));
}

bool RingMapping::faulted() const {
  return guard_ >= 0 && guarded_mappings[static_cast<std::size_t>(guard_)].faulted.load(std::memory_order_acquire);
}

Result<sys::UniqueFd> make_event_fd() {
  sys::UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) return fail_errno("ring", "eventfd", errno);
  return fd;
}

void signal_event_fd(int fd) {
  std::uint64_t one = 1;
  // EAGAIN means the counter is at its limit: the other side has a wake-up pending in any case.
  [[maybe_unused]] ssize_t written = ::write(fd, &one, sizeof one);
}

// The other side shares the file description and may have made it blocking.
void drain_event_fd(int fd) {
  std::uint64_t count = 0;
  iovec part{&count, sizeof count};
  [[maybe_unused]] ssize_t got = ::preadv2(fd, &part, 1, -1, RWF_NOWAIT);
}

Result<sys::UniqueFd> make_waiting_fd(int event_fd) {
  sys::UniqueFd fd(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{EPOLLIN | EPOLLET, {}};
  if (!fd || ::epoll_ctl(fd.get(), EPOLL_CTL_ADD, event_fd, &event) != 0) return fail_errno("ring", "epoll", errno);
  return fd;
}

void drain_waiting_fd(int fd) {
  epoll_event event;
  [[maybe_unused]] int got = ::epoll_wait(fd, &event, 1, 0);
}

std::uint32_t core_here() {
  int core = ::sched_getcpu();
  return core < 0 ? 0 : static_cast<std::uint32_t>(core) + 1;
}

}  // namespace netserv::ring
