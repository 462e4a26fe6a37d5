// Seccomp deny-lists: system calls that a confined process has no use for fail with EPERM from then on. Names are
// the kernel's; one that libseccomp doesn't know on this machine is left out.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"

namespace netserv::sandbox {

// Never needed by a helper or a container: tracing, mounts, modules, keys, namespaces, BPF, io_uring, clocks and
// the like. Leaves exec, files and memory alone.
std::span<const std::string_view> dangerous_calls();
// Everything that makes or uses a network endpoint.
std::span<const std::string_view> network_calls();

// Installs one filter that refuses all of `lists`. Foreign architectures' calls (i386, x32) kill the process.
// Needs no_new_privileges() or root. May be called again: filters add up.
Status refuse_calls(std::span<const std::span<const std::string_view>> lists);

}  // namespace netserv::sandbox
