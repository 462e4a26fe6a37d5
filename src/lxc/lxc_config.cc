#include "lxc/lxc_config.h"

#include <fmt/format.h>

namespace netserv::lxc {

std::string container_folder(const LaunchSpec& spec) { return spec.state_folder + "/" + spec.name; }
std::string root_folder(const LaunchSpec& spec) { return container_folder(spec) + "/rootfs"; }

std::vector<Mount> mounts(const LaunchSpec& spec, const std::vector<std::string>& libraries) {
  constexpr auto kFile = Mount::Kind::kFile;
  constexpr auto kFolder = Mount::Kind::kFolder;
  std::vector<Mount> out;
  for (const std::string& library : libraries)
    out.push_back({library, library.substr(1), kFile, "bind,ro,nosuid,nodev"});
  out.push_back({spec.program, std::string(kProgramInside).substr(1), kFile, "bind,ro,nosuid,nodev"});
  out.push_back({spec.module_folder, "modules", kFolder, "bind,ro,nosuid,nodev"});
  out.push_back({spec.run_folder, "run/netserv", kFolder, "bind,nosuid,nodev,noexec"});
  return out;
}

std::vector<std::string> program_arguments(const LaunchSpec& spec) {
  return {kProgramInside, "--log", "/run/netserv/container.log", "--spin-us", std::to_string(spec.spin_us)};
}

std::vector<std::pair<std::string, std::string>> lxc_config(const LaunchSpec& spec, CgroupVersion version,
                                                            const std::vector<Mount>& mounts) {
  std::vector<std::pair<std::string, std::string>> out = {
      {"lxc.rootfs.path", "dir:" + root_folder(spec)},
      {"lxc.rootfs.options", "ro,nosuid,nodev"},
      {"lxc.uts.name", spec.name},
      {"lxc.idmap", fmt::format("u 0 {} 1", spec.id_base)},
      {"lxc.idmap", fmt::format("g 0 {} 1", spec.id_base)},
      {"lxc.autodev", "0"},
      {"lxc.tty.max", "0"},
      {"lxc.pty.max", "0"},
      {"lxc.console.path", "none"},
      {"lxc.cap.keep", "none"},
      {"lxc.no_new_privs", "1"},
      {"lxc.apparmor.profile", "unconfined"},
      {"lxc.signal.halt", "SIGTERM"},
      {"lxc.log.file", container_folder(spec) + "/lxc.log"},
      {"lxc.log.level", "WARN"},
      {"lxc.prlimit.core", "0"},
      {"lxc.prlimit.nofile", "1200"},  // 64 modules with 16 sockets each
      {"lxc.prlimit.fsize", std::to_string(1 << 20)},
      {"lxc.prlimit.msgqueue", "0"},
  };
  if (spec.address4 || spec.address6) {
    out.insert(out.end(), {{"lxc.net.0.type", "veth"},
                           {"lxc.net.0.veth.pair", spec.host_interface},
                           {"lxc.net.0.name", "eth0"},
                           {"lxc.net.0.flags", "up"}});
  } else {
    out.emplace_back("lxc.net.0.type", "empty");
  }
  constexpr std::uint64_t kPeriodUs = 100'000;
  std::uint64_t quota = kPeriodUs * spec.cpu_percent / 100;
  if (version == CgroupVersion::kV1) {
    out.emplace_back("lxc.cgroup.memory.limit_in_bytes", std::to_string(spec.memory_bytes));
    out.emplace_back("lxc.cgroup.pids.max", std::to_string(spec.pids));
    out.emplace_back("lxc.cgroup.cpu.cfs_period_us", std::to_string(kPeriodUs));
    out.emplace_back("lxc.cgroup.cpu.cfs_quota_us", std::to_string(quota));
    out.emplace_back("lxc.cgroup.devices.deny", "a");
  } else {
    out.emplace_back("lxc.cgroup2.memory.max", std::to_string(spec.memory_bytes));
    out.emplace_back("lxc.cgroup2.memory.swap.max", "0");
    out.emplace_back("lxc.cgroup2.pids.max", std::to_string(spec.pids));
    out.emplace_back("lxc.cgroup2.cpu.max", fmt::format("{} {}", quota, kPeriodUs));
    out.emplace_back("lxc.cgroup2.devices.deny", "a");
  }
  for (const Mount& mount : mounts)
    out.emplace_back("lxc.mount.entry", fmt::format("{} {} none {} 0 0", mount.source, mount.target, mount.options));
  return out;
}

}  // namespace netserv::lxc
