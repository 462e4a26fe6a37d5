#include "sandbox/system_calls.h"

#include <array>
#include <cerrno>
#include <memory>
#include <seccomp.h>
#include <string>

namespace netserv::sandbox {
namespace {

constexpr auto kDangerous = std::to_array<std::string_view>({
    "acct", "add_key", "adjtimex", "bpf", "chroot", "clock_adjtime", "clock_settime", "clone3", "delete_module",
    "fanotify_init", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "init_module", "io_uring_enter",
    "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "keyctl",
    "lookup_dcookie", "mbind", "migrate_pages", "mount", "mount_setattr", "move_mount", "move_pages",
    "name_to_handle_at", "nfsservctl", "open_by_handle_at", "open_tree", "perf_event_open", "personality",
    "pidfd_getfd", "pivot_root", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace", "quotactl",
    "quotactl_fd", "reboot", "request_key", "set_mempolicy", "setdomainname", "sethostname", "setns",
    "settimeofday", "swapoff", "swapon", "syslog", "umount2", "unshare", "userfaultfd", "ustat", "vhangup",
});
constexpr auto kNetwork = std::to_array<std::string_view>({
    "accept", "accept4", "bind", "connect", "listen", "recvfrom", "recvmmsg", "recvmsg", "sendmmsg", "sendmsg",
    "sendto", "setsockopt", "socket", "socketpair",
});

struct Release {
  void operator()(void* filter) const { seccomp_release(filter); }
};

}  // namespace

std::span<const std::string_view> dangerous_calls() { return kDangerous; }
std::span<const std::string_view> network_calls() { return kNetwork; }

Status refuse_calls(std::span<const std::span<const std::string_view>> lists) {
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
  // clone is for processes and threads, not for namespaces.
  constexpr std::array<unsigned, 7> kNamespaces = {0x00020000, 0x02000000, 0x04000000, 0x08000000,
                                                   0x10000000, 0x20000000, 0x40000000};
  for (unsigned flag : kNamespaces) {
    if (const int e = seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                       SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
        e != 0)
      return fail_errno("seccomp clone", "rule", -e);
  }
  if (const int e = seccomp_load(filter.get()); e != 0) return fail_errno("seccomp", "load", -e);
  return {};
}

}  // namespace netserv::sandbox
