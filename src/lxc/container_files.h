// What a container leaves on the node's disk and in its cgroup tree: its folder in the lxcpath (root skeleton,
// spec, liblxc's log) and the cgroups liblxc makes.
#pragma once

#include <string>
#include <vector>

#include "lxc/launch_spec.h"
#include "lxc/lxc_config.h"
#include "sys/fd.h"

namespace netserv::lxc {

// Paths of loader, libc and libm of the node.
Result<std::vector<std::string>> find_libraries();
CgroupVersion cgroup_version();

// The skeleton (empty files and folders to mount on), the run folder's owner and mode, and spec.json.
Status make_files(const LaunchSpec& spec, const std::vector<Mount>& mounts);
Result<LaunchSpec> read_spec(const std::string& state_folder, const std::string& name);
// The first errors in liblxc's log (the later ones follow from them), for an error message.
std::string lxc_errors(const LaunchSpec& spec);
// Removes the container's folder and control socket. Only what make_files() and liblxc put there.
void remove_files(const LaunchSpec& spec);
void remove_cgroups(const std::string& name);

// One container's files are one process's to change while the descriptor is open. Its holder removes it with the rest.
Result<sys::UniqueFd> lock_container(const std::string& state_folder, const std::string& name);
void remove_lock(const std::string& state_folder, const std::string& name);

}  // namespace netserv::lxc
