#include "sandbox/identity.h"

#include <cerrno>
#include <csignal>
#include <grp.h>
#include <sched.h>
#include <string>
#include <sys/prctl.h>
#include <unistd.h>

namespace netserv::sandbox {

Status drop_to(Identity to) {
  if (geteuid() != 0) {
    if (getuid() == to.uid && getgid() == to.gid) return {};
    return fail(Origin::kOperator, "user " + std::to_string(to.uid), "can't be taken on without root");
  }
  if (to.uid == 0 || to.gid == 0) return fail(Origin::kOperator, "user 0", "is no user to drop to");
  if (setgroups(0, nullptr) != 0) return fail_errno("user", "setgroups", errno);
  if (setresgid(to.gid, to.gid, to.gid) != 0) return fail_errno("user", "setresgid", errno);
  if (setresuid(to.uid, to.uid, to.uid) != 0) return fail_errno("user", "setresuid", errno);
  if (setresuid(0, 0, 0) == 0) return fail(Origin::kSystem, "user", "root could be taken back");
  return {};
}

Status no_new_privileges() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("privileges", "no_new_privs", errno);
  return {};
}

Status leave_network() {
  if (unshare(CLONE_NEWNET) == 0) return {};
  if (errno == EPERM && unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0) return {};
  return fail_errno("network", "unshare", errno);
}

Status die_with_parent() {
  const pid_t parent = getppid();
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return fail_errno("parent", "PR_SET_PDEATHSIG", errno);
  if (getppid() != parent) return fail(Origin::kSystem, "parent", "is gone");
  return {};
}

}  // namespace netserv::sandbox
