// A container's network: a routed veth pair, and deny-by-default rules inside the container's own namespace.
//
// No bridge and no proxy ARP: the node's end carries 169.254.1.1 and fe80::1 (link scope, the same on every
// pair) and a host route to the container's address; the container's default route goes there. What may leave
// and come in is said by the filter table of the container's namespace: it dies with the namespace, its
// processes have no capability to change it, and the node's own firewall is not touched. What it sends is held to
// its publisher's bandwidth by a token bucket filter (tc-tbf) on the container's end of the pair.
//
// The texts are pure; apply_* run `ip -batch`, `tc -batch` and iptables-restore, in the namespaces of init_pid.
#pragma once

#include <sys/types.h>

#include <string>

#include "lxc/launch_spec.h"

namespace netserv::lxc {

std::string node_side_batch(const LaunchSpec& spec);       // for ip -batch, on the node
std::string container_side_batch(const LaunchSpec& spec);  // for ip -batch, in the container's namespace
enum class Family : unsigned char { kV4, kV6 };
std::string filter_rules(const NetworkGrants& grants, Family family);  // for ip[6]tables-restore
std::string shaping_batch(const NetworkGrants& grants);                // for tc -batch, in the container's namespace

Status apply_grants(const NetworkGrants& grants, pid_t init_pid);
// Rules first: nothing leaves before they stand.
Status set_up_network(const LaunchSpec& spec, pid_t init_pid);
// Removes the node's end if it is still there.
void remove_interface(const std::string& host_interface);

}  // namespace netserv::lxc
