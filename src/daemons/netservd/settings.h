// From the configuration file's words to those of the controller, of policy and of the container launcher.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "auth/authenticator.h"
#include "auth/policy.h"
#include "config/config.h"
#include "lxc/launch_spec.h"
#include "node/records.h"

namespace netserv::daemon {

// Building blocks of the wasm runtime on this node.
const std::vector<std::string>& node_blocks();

node::Settings node_settings(const config::Config& config);
// Errors name the publisher whose key is wrong.
Result<std::map<PublisherId, auth::PublisherPolicy>> policies(const config::Config& config);
// Names of blocks that this node has not got: one that is to be withheld would be there all the same.
Status check_blocks(const config::Config& config);
auth::Requirements requirements(const config::Config& config);
std::vector<Prefix> own_addresses(const config::Config& config);
auth::AddressRules address_rules(const config::Config& config);
const config::Publisher* find_publisher(const config::Config& config, const PublisherId& publisher);

std::string container_name(const config::Config& config, ContainerId id);
std::string container_run_folder(const config::Config& config, ContainerId id);
IpAddress container_address(const config::Config& config, ContainerId id);  // its IPv4 one
lxc::LaunchSpec launch_spec(const config::Config& config, const node::ContainerRecord& container,
                            const std::string& module_folder, const std::string& program);

}  // namespace netserv::daemon
