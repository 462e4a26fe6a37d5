#include "container/seccomp_policy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <linux/capability.h>
#include <unistd.h>

#include <initializer_list>
#include <memory>

namespace netserv::container {
namespace {

struct Filter {
  scmp_filter_ctx context = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  int error = 0;
  ~Filter() {
    if (context != nullptr) seccomp_release(context);
  }
  void allow(int call, std::initializer_list<scmp_arg_cmp> conditions = {}) {
    int result = seccomp_rule_add_array(context, SCMP_ACT_ALLOW, call, static_cast<unsigned>(conditions.size()),
                                        conditions.begin());
    if (result < 0 && error == 0) error = -result;
  }
};

constexpr scmp_arg_cmp masked(unsigned argument, scmp_datum_t mask, scmp_datum_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}
constexpr scmp_arg_cmp equal(unsigned argument, scmp_datum_t value) { return {argument, SCMP_CMP_EQ, value, 0}; }

void allow_memory(Filter& f) {
  constexpr scmp_datum_t kKind = MAP_SHARED | MAP_PRIVATE | MAP_ANONYMOUS;  // MAP_SHARED_VALIDATE has both bits
  f.allow(SCMP_SYS(mmap), {masked(2, PROT_EXEC, 0)});
  f.allow(SCMP_SYS(mmap), {masked(2, PROT_EXEC | PROT_WRITE, PROT_EXEC), masked(3, kKind, MAP_PRIVATE)});
  f.allow(SCMP_SYS(mprotect), {masked(2, PROT_EXEC, 0)});
  for (int call : {SCMP_SYS(munmap), SCMP_SYS(madvise), SCMP_SYS(brk)}) f.allow(call);
}

void allow_files(Filter& f) {
  constexpr scmp_datum_t kWriting = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY);
  f.allow(SCMP_SYS(openat), {masked(2, kWriting, O_RDONLY)});
  f.allow(SCMP_SYS(open), {masked(1, kWriting, O_RDONLY)});
  for (int call : {SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev),
                   SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(fstatfs), SCMP_SYS(lseek),
                   SCMP_SYS(getcwd)})
    f.allow(call);
  for (int command : {F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC})
    f.allow(SCMP_SYS(fcntl), {equal(1, static_cast<scmp_datum_t>(command))});
}

// udp/1's sockets, and the control channel: listened at before the filter, sent to without descriptors (sendmsg would
// also carry a stranger's control messages). Socket options are a large part of the kernel; two of them are needed.
// epoll_wait clears the ring's wake-ups.
void allow_sockets(Filter& f) {
  constexpr scmp_datum_t kType = 0xf;
  for (scmp_datum_t family : {AF_INET, AF_INET6})
    f.allow(SCMP_SYS(socket), {equal(0, family), masked(1, kType, SOCK_DGRAM), masked(2, ~0ull, 0)});
  f.allow(SCMP_SYS(setsockopt), {equal(1, IPPROTO_IPV6), equal(2, IPV6_V6ONLY)});
  f.allow(SCMP_SYS(setsockopt), {equal(1, SOL_SOCKET), equal(2, SO_SNDBUF)});
  f.allow(SCMP_SYS(getsockopt), {equal(1, SOL_SOCKET), equal(2, SO_PEERCRED)});
  for (int call : {SCMP_SYS(bind), SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(accept4),
                   SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait)})
    f.allow(call);
}

void allow_time_and_signals(Filter& f) {
  for (int call : {SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time),
                   SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep), SCMP_SYS(timer_create), SCMP_SYS(timer_settime),
                   SCMP_SYS(timer_gettime), SCMP_SYS(timer_getoverrun), SCMP_SYS(timer_delete),
                   SCMP_SYS(sigaltstack), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
                   SCMP_SYS(restart_syscall), SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid),
                   SCMP_SYS(sched_yield), SCMP_SYS(exit), SCMP_SYS(exit_group)})
    f.allow(call);
  // abort(): a signal to oneself, who is process 1 of its namespace.
  f.allow(SCMP_SYS(tgkill), {equal(0, 1)});
  for (scmp_datum_t operation : {FUTEX_WAIT, FUTEX_WAKE})
    f.allow(SCMP_SYS(futex), {masked(1, ~scmp_datum_t{FUTEX_PRIVATE_FLAG}, operation)});
  constexpr scmp_datum_t kArchSetGs = 0x1001, kArchGetGs = 0x1004;
  for (scmp_datum_t code : {kArchSetGs, kArchGetGs}) f.allow(SCMP_SYS(arch_prctl), {equal(0, code)});
}

}  // namespace

Status confine_this_process() {
  // With READ_IMPLIES_EXEC every readable mapping would be executable.
  int traits = ::personality(0xffffffff);
  if (traits < 0 || (traits & READ_IMPLIES_EXEC) != 0)
    return fail(Origin::kSystem, "personality", "has READ_IMPLIES_EXEC: executable memory can't be confined");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("no_new_privs", "prctl", errno);
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return fail_errno("dumpable", "prctl", errno);

  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  if (::syscall(SYS_capset, &header, none) != 0) return fail_errno("capabilities", "capset", errno);

  Filter filter;
  if (filter.context == nullptr) return fail(Origin::kSystem, "seccomp", "cannot make a filter");
  allow_memory(filter);
  allow_files(filter);
  allow_sockets(filter);
  allow_time_and_signals(filter);
  if (filter.error != 0) return fail_errno("seccomp", "cannot add a rule", filter.error);
  if (int result = seccomp_load(filter.context); result < 0) return fail_errno("seccomp", "cannot load", -result);
  return {};
}

}  // namespace netserv::container
