// Gives up what a helper process was started with: its user, new privileges, the network. Each step can't be
// undone in the process. Single-threaded callers only, before any untrusted byte is read.
#pragma once

#include <sys/types.h>

#include "base/result.h"

namespace netserv::sandbox {

struct Identity {
  uid_t uid = 65534;
  gid_t gid = 65534;
};

// Supplementary groups, gid, uid, all three of each, then checks that root can't come back. A process that isn't
// root keeps the identity it has, and it is an error if that differs from `to`.
Status drop_to(Identity to);

// After it no exec grants privileges; Landlock and seccomp without root need it.
Status no_new_privileges();

// A network namespace of its own with nothing but a loopback that is down. Needs CAP_SYS_ADMIN, so comes before
// drop_to(); without that right it makes a user namespace first.
Status leave_network();

// Signal to get when the parent dies (prctl PR_SET_PDEATHSIG). A change of uid clears it: call it last.
Status die_with_parent();

}  // namespace netserv::sandbox
