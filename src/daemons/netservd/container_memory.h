// How much memory a container's processes are charged with, as their cgroup (version 1 or 2) says.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace netserv::daemon {

// The file that says it, from the text of /proc/PID/cgroup. Empty: none.
std::string memory_file(std::string_view proc_cgroup);
std::optional<std::uint64_t> memory_in_use(pid_t pid);

}  // namespace netserv::daemon
