// Starting and stopping service containers through liblxc. Used by netserv-launch only: start() makes liblxc
// fork the container's monitor from the calling process.
#pragma once

#include <vector>

#include "lxc/launch_spec.h"

namespace netserv::lxc {

// Blocks until the container listens. On an error nothing of it is left.
Result<ContainerStarted> start_container(const LaunchSpec& spec);
Status stop_container(const std::string& state_folder, const std::string& name);
Status set_container_network(const std::string& state_folder, const std::string& name, const NetworkGrants& grants);
Result<std::vector<ContainerFound>> list_containers(const std::string& state_folder);
Status clean_up_containers(const std::string& state_folder);

}  // namespace netserv::lxc
