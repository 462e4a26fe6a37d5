// The container's own seccomp filter, put on after start-up (design: only the module cache can become code).
//
// Allowed is what the dispatcher, the ring, the runtime's dlopen and udp/1 need; all else gets EPERM. Executable
// memory comes from private, read-only file mappings alone; nothing becomes executable later; no file can be
// opened for writing. No new process, thread, privilege, namespace or kind of socket.
#pragma once

#include "base/result.h"

namespace netserv::container {

// Also drops all capabilities, sets no_new_privs and makes the process undumpable. Irrevocable; this thread and those to come.
Status confine_this_process();

}  // namespace netserv::container
