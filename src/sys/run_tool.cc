#include "sys/run_tool.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "sys/fd.h"

namespace netserv::sys {
namespace {

std::string find_tool(const std::string& name) {
  for (const char* directory : {"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"})
    if (std::string path = directory + name; ::access(path.c_str(), X_OK) == 0) return path;
  return {};
}

// Files in memory instead of pipes: nobody can block on the other.
UniqueFd memory_file(const std::string& contents) {
  UniqueFd fd(::memfd_create("tool", MFD_CLOEXEC));
  std::size_t at = 0;
  while (fd && at < contents.size()) {
    ssize_t n = ::write(fd.get(), contents.data() + at, contents.size() - at);
    if (n <= 0) break;
    at += static_cast<std::size_t>(n);
  }
  if (fd) ::lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

std::string read_all(int fd) {
  std::string out;
  char block[8192];
  off_t at = 0;
  for (ssize_t n; (n = ::pread(fd, block, sizeof block, at)) > 0; at += n) out.append(block, static_cast<std::size_t>(n));
  return out;
}

}  // namespace

bool has_tool(const std::string& name) { return !find_tool(name).empty(); }

Result<ToolResult> run_tool(const std::string& name, const std::vector<std::string>& arguments,
                            const std::string& input) {
  std::string path = find_tool(name);
  if (path.empty()) return fail(Origin::kSystem, name, "not installed");
  UniqueFd in = memory_file(input), out = memory_file({}), err = memory_file({});
  if (!in || !out || !err) return fail_errno(name, "memfd_create", errno);

  std::vector<std::string> words{name};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  char path_variable[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C";
  char* environment[] = {path_variable, locale, nullptr};

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in.get(), 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, err.get(), 2);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  int error = ::posix_spawn(&pid, path.c_str(), &actions, &attributes, argv.data(), environment);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return fail_errno(path, "cannot start", error);

  ToolResult result;
  while (::waitpid(pid, &result.status, 0) < 0)
    if (errno != EINTR) return fail_errno(path, "waitpid", errno);
  result.out = read_all(out.get());
  result.err = read_all(err.get());
  return result;
}

}  // namespace netserv::sys
