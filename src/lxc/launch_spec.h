// What netserv-launch is told to start: one service container (paper section 2.3), as a JSON object on its
// standard input or in a file. Everything netservd has decided about the container is in here; the launcher
// decides nothing.
//
// JSON keys are the field names below; addresses and prefixes are text; absent keys keep their defaults.
// Unknown keys are refused. parse(print(spec)) == spec.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "wire/ip/address.h"

namespace netserv::lxc {

// A destination that modules may open conversations with. Absent protocol or port: any. A port needs protocol
// 6 or 17.
struct EgressGrant {
  Prefix destination;
  std::optional<std::uint8_t> protocol;
  std::optional<std::uint16_t> port;
  bool operator==(const EgressGrant&) const = default;
};

// A port that may be reached from outside (server modules). Answers to such conversations may leave.
struct ListenGrant {
  std::uint8_t protocol = 17;
  std::uint16_t port = 0;
  bool operator==(const ListenGrant&) const = default;
};

// The container's own traffic: all that is not granted is dropped, both ways, by rules inside the container's
// network namespace (its processes have no capability to change them); the operator's firewall is untouched.
struct NetworkGrants {
  std::vector<EgressGrant> egress;
  std::vector<ListenGrant> listen;
  std::uint32_t kbit_per_second = 100'000;  // that the container sends; never 0
  bool operator==(const NetworkGrants&) const = default;
};

struct LaunchSpec {
  std::string name;            // [a-z0-9][a-z0-9-]*, at most 32; unique on the machine
  std::string state_folder;    // the node's own lxcpath; one folder a container is made in it
  std::string run_folder;      // this container's; holds control.sock and container.log
  std::string module_folder;   // this publisher's module cache; seen inside as /modules
  std::string program;         // netserv-container on the node's disk
  std::uint32_t id_base = 0;   // host uid and gid that stand for the container's 0; the only ones it has
  std::string host_interface;  // the node's end of the veth pair, at most 15 bytes
  std::optional<IpAddress> address4;
  std::optional<IpAddress> address6;
  NetworkGrants network;
  std::uint64_t memory_bytes = 64u << 20;
  std::uint32_t cpu_percent = 100;  // of one core
  std::uint32_t pids = 8;
  std::uint32_t spin_us = 50;  // busy waiting before the container sleeps
  bool operator==(const LaunchSpec&) const = default;
};

Result<LaunchSpec> parse_launch_spec(std::string_view json);
std::string print_launch_spec(const LaunchSpec& spec);
Result<NetworkGrants> parse_network_grants(std::string_view json);
std::string print_network_grants(const NetworkGrants& grants);

// What a start tells: netserv-launch's last line of output.
struct ContainerStarted {
  std::string name;
  pid_t init_pid = 0;     // in the caller's pid namespace
  Duration cold_start{};  // from the launcher's start until the container listened
  bool operator==(const ContainerStarted&) const = default;
};

struct ContainerFound {
  std::string name;
  bool running = false;  // false: remains of one that died; clean_up() removes them
  pid_t init_pid = 0;
  std::string run_folder;
  bool operator==(const ContainerFound&) const = default;
};

// Where the container listens for netservd (wire/ipc/container_messages.h).
inline std::string control_socket(const std::string& run_folder) { return run_folder + "/control.sock"; }

}  // namespace netserv::lxc
