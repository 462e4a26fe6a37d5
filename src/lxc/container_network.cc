#include "lxc/container_network.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <vector>

#include "sys/fd.h"

namespace netserv::lxc {
namespace {

constexpr const char* kNode4 = "169.254.1.1";
constexpr const char* kNode6 = "fe80::1";

struct Command {
  std::vector<const char*> arguments;
  std::string input;
};

// Runs all at the same time, in network namespace `netns` (-1: our own). The first error is returned.
Status run_all(const std::vector<Command>& commands, int netns) {
  struct Running {
    pid_t pid;
    const char* name;
    sys::UniqueFd output;
  };
  std::vector<Running> running;
  Status status;
  for (const Command& command : commands) {
    int in[2], out[2];
    if (::pipe2(in, O_CLOEXEC) != 0) return fail_errno(command.arguments[0], "pipe", errno);
    sys::UniqueFd in_read(in[0]), in_write(in[1]);
    if (::pipe2(out, O_CLOEXEC) != 0) return fail_errno(command.arguments[0], "pipe", errno);
    sys::UniqueFd out_read(out[0]), out_write(out[1]);
    pid_t pid = ::fork();
    if (pid < 0) return fail_errno(command.arguments[0], "fork", errno);
    if (pid == 0) {
      if (netns >= 0 && ::setns(netns, CLONE_NEWNET) != 0) ::_exit(126);
      ::dup2(in_read.get(), 0);
      ::dup2(out_write.get(), 1);
      ::dup2(out_write.get(), 2);
      std::vector<char*> argv;
      for (const char* argument : command.arguments) argv.push_back(const_cast<char*>(argument));
      argv.push_back(nullptr);
      ::clearenv();
      ::setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
      ::execvp(argv[0], argv.data());
      ::_exit(127);
    }
    // Rules and batches of one container are far below a pipe's 64 KiB; more would be cut here, not hang.
    ::fcntl(in_write.get(), F_SETFL, O_NONBLOCK);
    if (::write(in_write.get(), command.input.data(), command.input.size()) != ssize_t(command.input.size()))
      status = fail(Origin::kOperator, command.arguments[0], "too many rules for one container");
    running.push_back({pid, command.arguments[0], std::move(out_read)});
  }
  for (Running& child : running) {
    std::string text;
    char buffer[512];
    for (ssize_t n; (n = ::read(child.output.get(), buffer, sizeof buffer)) > 0;)
      if (text.size() < 4096) text.append(buffer, static_cast<std::size_t>(n));
    int result = 0;
    while (::waitpid(child.pid, &result, 0) < 0 && errno == EINTR) {
    }
    while (!text.empty() && text.back() == '\n') text.pop_back();
    bool failed = !WIFEXITED(result) || WEXITSTATUS(result) != 0;
    if (failed && status)
      status = fail(Origin::kSystem, child.name,
                    text.empty() ? fmt::format("ended with wait status {:#x}", result) : text);
  }
  return status;
}

Result<sys::UniqueFd> network_namespace(pid_t pid) {
  std::string path = fmt::format("/proc/{}/ns/net", pid);
  sys::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(path, "open", errno);
  return fd;
}

Status apply_grants_in(const NetworkGrants& grants, int netns) {
  return run_all({{{"iptables-restore", "-w", "5"}, filter_rules(grants, Family::kV4)},
                  {{"ip6tables-restore", "-w", "5"}, filter_rules(grants, Family::kV6)},
                  {{"tc", "-batch", "-"}, shaping_batch(grants)}},
                 netns);
}

std::string match(std::optional<std::uint8_t> protocol, std::optional<std::uint16_t> port) {
  std::string out;
  if (protocol) out += fmt::format(" -p {}", *protocol);
  if (port) out += fmt::format(" --dport {}", *port);
  return out;
}

}  // namespace

std::string node_side_batch(const LaunchSpec& spec) {
  std::string out = fmt::format("link set {} up\n", spec.host_interface);
  if (spec.address4)
    out += fmt::format("addr replace {}/32 dev {} scope link\nroute replace {}/32 dev {} scope link\n", kNode4,
                       spec.host_interface, spec.address4->to_string(), spec.host_interface);
  if (spec.address6)
    out += fmt::format("addr replace {}/64 dev {} nodad\nroute replace {}/128 dev {}\n", kNode6,
                       spec.host_interface, spec.address6->to_string(), spec.host_interface);
  return out;
}

std::string container_side_batch(const LaunchSpec& spec) {
  std::string out = "link set lo up\nlink set eth0 up\n";
  if (spec.address4)
    out += fmt::format(
        "addr replace {}/32 dev eth0\nroute replace {} dev eth0 scope link\nroute replace default via {} dev eth0\n",
        spec.address4->to_string(), kNode4, kNode4);
  if (spec.address6)
    out += fmt::format("addr replace {}/128 dev eth0 nodad\nroute replace default via {} dev eth0\n",
                       spec.address6->to_string(), kNode6);
  return out;
}

std::string filter_rules(const NetworkGrants& grants, Family family) {
  std::string out = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [0:0]\n";
  for (const char* chain : {"INPUT", "OUTPUT"})
    out += fmt::format("-A {} -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n", chain);
  if (family == Family::kV6) {
    // Neighbour discovery is IPv6's ARP.
    for (int type : {135, 136})
      for (const char* chain : {"INPUT", "OUTPUT"})
        out += fmt::format("-A {} -p icmpv6 --icmpv6-type {} -j ACCEPT\n", chain, type);
  }
  for (const ListenGrant& grant : grants.listen)
    out += fmt::format("-A INPUT{} -j ACCEPT\n", match(grant.protocol, grant.port));
  for (const EgressGrant& grant : grants.egress)
    if (grant.destination.address().is_v4() == (family == Family::kV4))
      out += fmt::format("-A OUTPUT -d {}{} -j ACCEPT\n", grant.destination.to_string(),
                         match(grant.protocol, grant.port));
  return out + "COMMIT\n";
}

std::string shaping_batch(const NetworkGrants& grants) {
  // A tenth of a second's worth at once, as the forwarder gives packets; never less than a packet of loopback's size.
  std::uint64_t burst = std::clamp<std::uint64_t>(std::uint64_t{grants.kbit_per_second} * 125 / 10, 64 << 10, 64 << 20);
  return fmt::format("qdisc replace dev eth0 root tbf rate {}kbit burst {} latency 50ms\n", grants.kbit_per_second, burst);
}

Status apply_grants(const NetworkGrants& grants, pid_t init_pid) {
  NETSERV_ASSIGN(sys::UniqueFd netns, network_namespace(init_pid));
  return apply_grants_in(grants, netns.get());
}

Status set_up_network(const LaunchSpec& spec, pid_t init_pid) {
  if (!spec.address4 && !spec.address6) return {};
  NETSERV_ASSIGN(sys::UniqueFd netns, network_namespace(init_pid));
  NETSERV_TRY(apply_grants_in(spec.network, netns.get()));
  NETSERV_TRY(run_all({{{"ip", "-batch", "-"}, container_side_batch(spec)}}, netns.get()));
  return run_all({{{"ip", "-batch", "-"}, node_side_batch(spec)}}, -1);
}

void remove_interface(const std::string& host_interface) {
  if (::if_nametoindex(host_interface.c_str()) == 0) return;
  (void)run_all({{{"ip", "link", "del", host_interface.c_str()}, {}}}, -1);
}

}  // namespace netserv::lxc
