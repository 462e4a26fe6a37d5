#include "plane/netfilter/queue_watchdog.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <new>

#include "plane/netfilter/netlink.h"
#include "plane/netfilter/nfqueue.h"
#include "sys/clock.h"

namespace netserv::plane {
namespace {

constexpr useconds_t kLookMicroseconds = 100'000;

void accept_up_to(int socket, std::uint16_t number, std::uint32_t id) {
  alignas(nlmsghdr) std::array<char, 256> room;
  nlmsghdr* m = start_netfilter_message(room.data(), NFNL_SUBSYS_QUEUE, NFQNL_MSG_VERDICT_BATCH, number, 0);
  nfqnl_msg_verdict_hdr header{htonl(NF_ACCEPT), htonl(id)};
  mnl_attr_put(m, NFQA_VERDICT_HDR, sizeof header, &header);
  (void)!::send(socket, m, m->nlmsg_len, 0);
}

}  // namespace

Result<std::unique_ptr<QueueWatchdog>> QueueWatchdog::start(int socket, std::uint16_t number, Duration limit) {
  std::unique_ptr<QueueWatchdog> dog(new QueueWatchdog);
  void* page = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return fail_errno("queue watchdog", "mmap", errno);
  dog->shared_ = new (page) Shared{};
  dog->beat(sys::now());
  pid_t parent = ::getpid();
  dog->child_ = ::fork();
  if (dog->child_ < 0) return fail_errno("queue watchdog", "fork", errno);
  if (dog->child_ > 0) return dog;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(0);
  ::prctl(PR_SET_NAME, "nsv-watchdog");
  int own = ::dup2(socket, 3);  // the socket alone is kept
  if (own < 0 || ::close_range(4, ~0u, 0) != 0) ::_exit(1);
  watch(*dog->shared_, own, number, limit);
}

void QueueWatchdog::watch(Shared& shared, int socket, std::uint16_t number, Duration limit) {
  for (;; ::usleep(kLookMicroseconds)) {
    if (shared.state.load(std::memory_order_acquire) != State::kArmed) continue;
    Duration beat(static_cast<std::int64_t>(shared.beat_ns.load(std::memory_order_relaxed)));
    if (sys::now() - TimePoint(beat) < limit) continue;
    shared.state.store(State::kFiring, std::memory_order_relaxed);
    set_queue_length(socket, number, 0);  // full from now on: nothing more is queued
    accept_up_to(socket, number, queue_state(number).last_id);
    shared.state.store(State::kFired, std::memory_order_release);
  }
}

QueueWatchdog::~QueueWatchdog() {
  if (child_ > 0) {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  if (shared_ != nullptr) ::munmap(shared_, sizeof(Shared));
}

}  // namespace netserv::plane
