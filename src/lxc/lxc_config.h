// The liblxc configuration of a service container, as key and value pairs, out of its launch spec. Pure.
//
// Namespaces: user (one id), pid, mount, ipc, uts, net. Root: an empty read-only skeleton on which the program,
// the loader, libc and libm are bind-mounted read-only; /modules read-only; /run/netserv is the only writable
// place, noexec. No /proc, no /sys, no /dev. No capability, no new privileges.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "lxc/launch_spec.h"

namespace netserv::lxc {

enum class CgroupVersion : unsigned char { kV1, kV2 };

struct Mount {
  std::string source;
  std::string target;  // relative to the root
  enum class Kind : unsigned char { kFile, kFolder } kind = Kind::kFile;
  std::string options;
};

inline constexpr const char* kProgramInside = "/netserv-container";

std::string container_folder(const LaunchSpec& spec);  // in the lxcpath
std::string root_folder(const LaunchSpec& spec);
// `libraries` are the node's paths of the loader and the libraries that the program and modules need.
std::vector<Mount> mounts(const LaunchSpec& spec, const std::vector<std::string>& libraries);
std::vector<std::pair<std::string, std::string>> lxc_config(const LaunchSpec& spec, CgroupVersion version,
                                                            const std::vector<Mount>& mounts);
std::vector<std::string> program_arguments(const LaunchSpec& spec);

}  // namespace netserv::lxc
