// Seccomp deny-lists: system calls that a confined process has no use for fail with EPERM from then on. Names are
// the kernel's; one that libseccomp doesn't know on this machine is left out.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"

namespace netserv::sandbox {

// Never needed by a helper: tracing, mounts, modules, keys, namespaces, BPF, io_uring, clocks, System V and POSIX IPC
// (which outlives its maker) and the like. Leaves exec, files and memory alone.
std::span<const std::string_view> dangerous_calls();
// Everything that makes or uses a network endpoint.
std::span<const std::string_view> network_calls();

// New processes (threads_only below refuses clone's), and signals, limits and priorities of others: other helpers run as
// the same user.
std::span<const std::string_view> process_calls();

// What is refused beyond the lists.
struct CallRules {
  bool threads_only = false;     // clone makes threads of this process only
  bool ip_sockets_only = false;  // of AF_INET and AF_INET6, and AF_NETLINK, which getaddrinfo() asks for addresses
};

// Installs one filter that refuses all of `lists`, what `rules` says, namespaces by clone, and input pushed into a
// terminal (TIOCSTI, TIOCLINUX: a helper of `netserv module run` has its caller's). Foreign architectures' calls (i386,
// x32) kill the process. Needs no_new_privileges() or root. May be called again: filters add up.
Status refuse_calls(std::span<const std::span<const std::string_view>> lists, const CallRules& rules = {});

}  // namespace netserv::sandbox
