#include "lxc/launcher.h"

#include <dirent.h>
#include <fcntl.h>
#include <lxc/lxccontainer.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "lxc/container_files.h"
#include "lxc/container_network.h"
#include "lxc/lxc_config.h"
#include "sys/clock.h"
#include "sys/seqpacket.h"

namespace netserv::lxc {
namespace {

constexpr Duration kListenWithin = std::chrono::seconds(10);
constexpr int kStopWithinMs = 2000;

using Container = std::unique_ptr<lxc_container, void (*)(lxc_container*)>;

Container open_container(const std::string& state_folder, const std::string& name) {
  return Container(::lxc_container_new(name.c_str(), state_folder.c_str()), [](lxc_container* c) {
    if (c != nullptr) ::lxc_container_put(c);
  });
}

void remove_remains(const LaunchSpec& spec) {
  remove_interface(spec.host_interface);
  remove_cgroups(spec.name);
  remove_files(spec);
}

void kill_container(lxc_container* container) {
  if (container->is_running(container)) container->stop(container);
}

Status configure(lxc_container* container, const LaunchSpec& spec, const std::vector<Mount>& mounts) {
  container->clear_config(container);
  for (const auto& [key, value] : lxc_config(spec, cgroup_version(), mounts))
    if (!container->set_config_item(container, key.c_str(), value.c_str()))
      return fail(Origin::kSystem, spec.name, "liblxc refuses " + key + " = " + value);
  container->want_daemonize(container, true);
  container->want_close_all_fds(container, true);
  return {};
}

// liblxc applies the flags of a bind mount only if it is read-only, and the run folder is not. So it gets its
// flags here, in a mount namespace that only this process and the monitor live in; binds of it inherit them.
Status forbid_code_in(const std::string& run_folder) {
  const char* folder = run_folder.c_str();
  if (::unshare(CLONE_NEWNS) != 0) return fail_errno(run_folder, "unshare mounts", errno);
  if (::mount("", "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return fail_errno("/", "make mounts slaves", errno);
  if (::mount(folder, folder, nullptr, MS_BIND, nullptr) != 0 ||
      ::mount("", folder, nullptr, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
    return fail_errno(run_folder, "bind mount", errno);
  return {};
}

Status wait_until_it_listens(lxc_container* container, const LaunchSpec& spec) {
  std::string path = control_socket(spec.run_folder);
  for (TimePoint give_up = sys::now() + kListenWithin; sys::now() < give_up;) {
    if (sys::connect_seqpacket(path)) return {};
    if (!container->is_running(container)) return fail(Origin::kSystem, spec.name, "ended while it started");
    ::poll(nullptr, 0, 1);
  }
  return fail(Origin::kSystem, spec.name, "does not listen on " + path);
}

std::string with_logs(const LaunchSpec& spec, std::string text) {
  std::string log = lxc_errors(spec);
  return log.empty() ? text : text + "; liblxc: " + log;
}

}  // namespace

Result<ContainerStarted> start_container(const LaunchSpec& spec) {
  TimePoint begin = sys::now();
  NETSERV_ASSIGN(sys::UniqueFd lock, lock_container(spec.state_folder, spec.name));
  NETSERV_ASSIGN(auto libraries, find_libraries());
  Container container = open_container(spec.state_folder, spec.name);
  if (container == nullptr) return fail(Origin::kSystem, spec.name, "liblxc: out of memory");
  if (container->is_running(container.get())) return fail(Origin::kOperator, spec.name, "is running already");
  remove_remains(spec);
  auto all_mounts = mounts(spec, libraries);
  auto undo = [&](Error error) {
    kill_container(container.get());
    error.text = with_logs(spec, std::move(error.text));
    remove_remains(spec);
    remove_lock(spec.state_folder, spec.name);
    return tl::unexpected<Error>(std::move(error));
  };
  if (auto made = make_files(spec, all_mounts); !made) return undo(made.error());
  if (auto forbidden = forbid_code_in(spec.run_folder); !forbidden) return undo(forbidden.error());
  if (auto configured = configure(container.get(), spec, all_mounts); !configured) return undo(configured.error());

  std::vector<std::string> arguments = program_arguments(spec);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  // liblxc writes id maps itself unless newuidmap is on the path; that one would want a range in /etc/subuid.
  ::setenv("PATH", "/nonexistent", 1);
  ::malloc_trim(0);  // the monitor keeps what this process has
  bool started = container->start(container.get(), 0, argv.data());
  if (!started) return undo({Origin::kSystem, spec.name, "liblxc could not start it"});
  pid_t init = container->init_pid(container.get());
  if (init <= 0) return undo({Origin::kSystem, spec.name, "ended while it started"});
  if (auto network = set_up_network(spec, init); !network) return undo(network.error());
  if (auto listens = wait_until_it_listens(container.get(), spec); !listens) return undo(listens.error());
  return ContainerStarted{spec.name, init, sys::now() - begin};
}

Status stop_container(const std::string& state_folder, const std::string& name) {
  NETSERV_ASSIGN(sys::UniqueFd lock, lock_container(state_folder, name));
  auto spec = read_spec(state_folder, name);
  Container container = open_container(state_folder, name);
  if (container == nullptr) return fail(Origin::kSystem, name, "liblxc: out of memory");
  if (container->is_running(container.get())) {
    pid_t init = container->init_pid(container.get());
    sys::UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, init, 0)));
    if (process) {
      ::syscall(SYS_pidfd_send_signal, process.get(), SIGTERM, nullptr, 0);
      pollfd ended{process.get(), POLLIN, 0};
      ::poll(&ended, 1, kStopWithinMs);
    }
    kill_container(container.get());
    if (!container->wait(container.get(), "STOPPED", 5))
      return fail(Origin::kSystem, name, "its monitor does not report it stopped");
  }
  if (spec) {
    remove_remains(*spec);
  } else {
    remove_cgroups(name);
  }
  remove_lock(state_folder, name);
  return {};
}

Status set_container_network(const std::string& state_folder, const std::string& name,
                             const NetworkGrants& grants) {
  NETSERV_ASSIGN(sys::UniqueFd lock, lock_container(state_folder, name));
  NETSERV_ASSIGN(LaunchSpec spec, read_spec(state_folder, name));
  Container container = open_container(state_folder, name);
  pid_t init = container != nullptr ? container->init_pid(container.get()) : -1;
  if (init <= 0) return fail(Origin::kOperator, name, "is not running");
  if (!spec.address4 && !spec.address6) return {};
  return apply_grants(grants, init);
}

Result<std::vector<ContainerFound>> list_containers(const std::string& state_folder) {
  std::vector<ContainerFound> found;
  std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(state_folder.c_str()), ::closedir);
  if (dir == nullptr) {
    if (errno == ENOENT) return found;
    return fail_errno(state_folder, "open", errno);
  }
  while (const dirent* entry = ::readdir(dir.get())) {
    std::string name = entry->d_name;
    if (name.front() == '.') continue;
    auto spec = read_spec(state_folder, name);
    if (!spec) continue;
    Container container = open_container(state_folder, name);
    pid_t init = container != nullptr && container->is_running(container.get())
                     ? container->init_pid(container.get()) : 0;
    found.push_back({name, init > 0, std::max(init, 0), spec->run_folder});
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return found;
}

Status clean_up_containers(const std::string& state_folder) {
  NETSERV_ASSIGN(auto found, list_containers(state_folder));
  for (const ContainerFound& item : found)
    if (!item.running) NETSERV_TRY(stop_container(state_folder, item.name));
  return {};
}

}  // namespace netserv::lxc
