#include "sandbox/system_calls.h"

#include <array>
#include <cerrno>
#include <memory>
#include <sched.h>
#include <seccomp.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace netserv::sandbox {
namespace {

constexpr auto kDangerous = std::to_array<std::string_view>({
    "acct", "add_key", "adjtimex", "bpf", "chroot", "clock_adjtime", "clock_settime", "clone3", "delete_module",
    "fanotify_init", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "init_module", "io_uring_enter",
    "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "keyctl",
    "lookup_dcookie", "mbind", "migrate_pages", "mount", "mount_setattr", "move_mount", "move_pages",
    "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend", "mq_unlink", "msgctl", "msgget",
    "msgrcv", "msgsnd", "name_to_handle_at", "nfsservctl", "open_by_handle_at", "open_tree", "perf_event_open",
    "personality", "pidfd_getfd", "pivot_root", "process_madvise", "process_vm_readv", "process_vm_writev",
    "ptrace", "quotactl", "quotactl_fd", "reboot", "request_key", "semctl", "semget", "semop", "semtimedop",
    "set_mempolicy", "setdomainname", "sethostname", "setns", "settimeofday", "shmat", "shmctl", "shmdt", "shmget",
    "swapoff", "swapon", "syslog", "umount2", "unshare", "userfaultfd", "ustat", "vhangup",
});
constexpr auto kNetwork = std::to_array<std::string_view>({
    "accept", "accept4", "bind", "connect", "listen", "recvfrom", "recvmmsg", "recvmsg", "sendmmsg", "sendmsg",
    "sendto", "setsockopt", "socket", "socketpair",
});

constexpr auto kProcesses = std::to_array<std::string_view>({
    "fork", "get_robust_list", "ioprio_set", "kill", "pidfd_open", "pidfd_send_signal", "prlimit64", "process_mrelease",
    "rt_sigqueueinfo", "rt_tgsigqueueinfo", "sched_setaffinity", "sched_setattr", "sched_setparam",
    "sched_setscheduler", "setpgid", "setpriority", "setsid", "tgkill", "tkill", "vfork",
});

struct Release {
  void operator()(void* filter) const { seccomp_release(filter); }
};

}  // namespace

std::span<const std::string_view> dangerous_calls() { return kDangerous; }
std::span<const std::string_view> network_calls() { return kNetwork; }
std::span<const std::string_view> process_calls() { return kProcesses; }

Status refuse_calls(std::span<const std::span<const std::string_view>> lists, const CallRules& rules) {
  std::unique_ptr<void, Release> filter(seccomp_init(SCMP_ACT_ALLOW));
  if (!filter) return fail(Origin::kSystem, "seccomp", "out of memory");
  seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_NNP, 0);  // the caller's step, said by name
  for (const auto& list : lists) {
    for (std::string_view name : list) {
      const int number = seccomp_syscall_resolve_name(std::string(name).c_str());
      if (number == __NR_SCMP_ERROR) continue;
      // clone3's flags lie in memory, out of a filter's sight; ENOSYS makes libc use clone.
      const std::uint32_t action = SCMP_ACT_ERRNO(name == "clone3" ? ENOSYS : EPERM);
      if (const int e = seccomp_rule_add(filter.get(), action, number, 0); e != 0)
        return fail_errno("seccomp " + std::string(name), "rule", -e);
    }
  }
  auto refuse_if = [&](int number, const char* name, scmp_arg_cmp condition) -> Status {
    const int e = seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(EPERM), number, 1, &condition);
    if (e != 0) return fail_errno(std::string("seccomp ") + name, "rule", -e);
    return {};
  };
  // clone is for processes and threads, not for namespaces.
  for (unsigned flag : {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET})
    NETSERV_TRY(refuse_if(SCMP_SYS(clone), "clone", SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag)));
  for (scmp_datum_t request : {TIOCSTI, TIOCLINUX})  // of which the kernel looks at 32 bits
    NETSERV_TRY(refuse_if(SCMP_SYS(ioctl), "ioctl", SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, request)));
  if (rules.threads_only) {
    NETSERV_TRY(refuse_if(SCMP_SYS(clone), "clone", SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0)));
  }
  if (rules.ip_sockets_only) {
    for (scmp_datum_t family = 0; family <= AF_NETLINK; ++family)
      if (family != AF_INET && family != AF_INET6 && family != AF_NETLINK)
        NETSERV_TRY(refuse_if(SCMP_SYS(socket), "socket", SCMP_A0(SCMP_CMP_EQ, family)));
    NETSERV_TRY(refuse_if(SCMP_SYS(socket), "socket", SCMP_A0(SCMP_CMP_GT, AF_NETLINK)));
  }
  if (const int e = seccomp_load(filter.get()); e != 0) return fail_errno("seccomp", "load", -e);
  return {};
}

}  // namespace netserv::sandbox
