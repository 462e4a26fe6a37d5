#include "lxc/container_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <memory>

#include "sys/file_lock.h"

namespace netserv::lxc {
namespace {

constexpr const char* kCgroupRoot = "/sys/fs/cgroup";

Status make_folder(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return fail_errno(path, "mkdir", errno);
  return {};
}

Status make_folders_below(const std::string& base, const std::string& relative) {
  for (std::size_t at = 0; (at = relative.find('/', at)) != std::string::npos; ++at)
    NETSERV_TRY(make_folder(base + "/" + relative.substr(0, at), 0755));
  return {};
}

std::vector<std::string> entries(const std::string& folder) {
  std::vector<std::string> out;
  std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
  if (dir == nullptr) return out;
  while (const dirent* entry = ::readdir(dir.get()))
    if (std::string name = entry->d_name; name != "." && name != "..") out.push_back(std::move(name));
  return out;
}

// Folders and empty files alone: whatever else lies there is not ours to remove.
void remove_skeleton(const std::string& folder) {
  for (const std::string& name : entries(folder)) {
    std::string path = folder + "/" + name;
    struct stat s {};
    if (::lstat(path.c_str(), &s) != 0) continue;
    if (S_ISDIR(s.st_mode)) {
      remove_skeleton(path);
    } else if (S_ISREG(s.st_mode) && s.st_size == 0) {
      ::unlink(path.c_str());
    }
  }
  ::rmdir(folder.c_str());
}

void remove_cgroup_tree(const std::string& folder) {
  for (const std::string& name : entries(folder)) {
    struct stat s {};
    std::string path = folder + "/" + name;
    if (::lstat(path.c_str(), &s) == 0 && S_ISDIR(s.st_mode)) remove_cgroup_tree(path);
  }
  ::rmdir(folder.c_str());
}

std::string lock_path(const std::string& state_folder, const std::string& name) {
  return state_folder + "/." + name + ".lock";
}

}  // namespace

Result<std::vector<std::string>> find_libraries() {
#if defined(__x86_64__)
  std::vector<std::string> out = {"/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6",
                                  "/lib/x86_64-linux-gnu/libm.so.6"};
#elif defined(__aarch64__)
  std::vector<std::string> out = {"/lib/ld-linux-aarch64.so.1", "/lib/aarch64-linux-gnu/libc.so.6",
                                  "/lib/aarch64-linux-gnu/libm.so.6"};
#endif
  for (const std::string& path : out)
    if (::access(path.c_str(), R_OK) != 0) return fail_errno(path, "needed in a container", errno);
  return out;
}

CgroupVersion cgroup_version() {
  return ::access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 ? CgroupVersion::kV2 : CgroupVersion::kV1;
}

Result<sys::UniqueFd> lock_container(const std::string& state_folder, const std::string& name) {
  NETSERV_TRY(make_folder(state_folder, 0755));
  return sys::lock_file(lock_path(state_folder, name));
}

void remove_lock(const std::string& state_folder, const std::string& name) {
  ::unlink(lock_path(state_folder, name).c_str());
}

Status make_files(const LaunchSpec& spec, const std::vector<Mount>& mounts) {
  std::string root = root_folder(spec);
  NETSERV_TRY(make_folder(container_folder(spec), 0755));
  NETSERV_TRY(make_folder(root, 0755));
  // liblxc wants both while it sets up; /proc is unmounted before the program starts, /dev stays empty.
  for (const char* name : {"/proc", "/dev"}) NETSERV_TRY(make_folder(root + name, 0755));
  for (const Mount& mount : mounts) {
    NETSERV_TRY(make_folders_below(root, mount.target));
    std::string path = root + "/" + mount.target;
    if (mount.kind == Mount::Kind::kFolder) {
      NETSERV_TRY(make_folder(path, 0755));
    } else {
      sys::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
      if (!fd) return fail_errno(path, "create", errno);
    }
  }
  NETSERV_TRY(make_folder(spec.run_folder, 0700));
  if (::chown(spec.run_folder.c_str(), spec.id_base, spec.id_base) != 0 ||
      ::chmod(spec.run_folder.c_str(), 0700) != 0)
    return fail_errno(spec.run_folder, "hand it to the container's user", errno);
  std::string path = container_folder(spec) + "/spec.json";
  std::ofstream out(path);
  out << print_launch_spec(spec) << '\n';
  if (!out.flush()) return fail(Origin::kSystem, path, "cannot write");
  return {};
}

Result<LaunchSpec> read_spec(const std::string& state_folder, const std::string& name) {
  std::string path = state_folder + "/" + name + "/spec.json";
  std::ifstream in(path);
  if (!in) return fail(Origin::kOperator, name, "no such container (" + path + " is missing)");
  return parse_launch_spec(std::string(std::istreambuf_iterator<char>(in), {}));
}

std::string lxc_errors(const LaunchSpec& spec) {
  std::ifstream in(container_folder(spec) + "/lxc.log");
  std::string out, line;
  for (int count = 0; count < 3 && std::getline(in, line);) {
    std::size_t at = line.find(" ERROR ");
    if (at == std::string::npos) continue;
    if (++count > 1) out += "; ";
    out += line.substr(at + 7, 300);
  }
  return out;
}

void remove_files(const LaunchSpec& spec) {
  ::unlink(control_socket(spec.run_folder).c_str());
  remove_skeleton(root_folder(spec));
  std::string folder = container_folder(spec);
  for (const char* name : {"/spec.json", "/lxc.log", "/config"}) ::unlink((folder + name).c_str());
  ::rmdir(folder.c_str());
}

void remove_cgroups(const std::string& name) {
  std::vector<std::string> hierarchies = {kCgroupRoot};
  for (const std::string& entry : entries(kCgroupRoot)) hierarchies.push_back(std::string(kCgroupRoot) + "/" + entry);
  for (const std::string& hierarchy : hierarchies) {
    for (const char* kind : {"lxc.payload.", "lxc.monitor."}) {
      std::string path = hierarchy + "/" + kind + name;
      if (::access(path.c_str(), F_OK) == 0) remove_cgroup_tree(path);
    }
    // Where liblxc's monitors go to die; stays while one is in it.
    ::rmdir((hierarchy + "/lxc.pivot").c_str());
  }
}

}  // namespace netserv::lxc
