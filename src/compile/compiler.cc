#include "compile/compiler.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <sstream>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "compile/embedded_headers.h"

namespace netserv::compile {
namespace {

// Each for a reason: stack-clash-protection, or a function with many locals steps over the guard pages;
// no sibling calls, or deep recursion would be a loop; strict IEEE; one visible symbol; nothing run at load. A load may trap
// (that is an exception to the compiler), so one whose value is not used stays: said by an asm at each load instead, it made
// KeepAlive 1.4 times slower.
constexpr std::array kFlags = {
    "-std=gnu11", "-w", "-pipe", "-fPIC", "-shared", "-DNDEBUG", "-fvisibility=hidden",
    "-fno-optimize-sibling-calls", "-frounding-math", "-fsignaling-nans", "-ffp-contract=off",
    "-fexceptions", "-fnon-call-exceptions", "-fno-delete-dead-exceptions",
    "-fstack-clash-protection", "-fno-strict-aliasing", "-fwrapv", "-fcf-protection=none",
    "-fno-asynchronous-unwind-tables", "-nostartfiles", "-s", "-Wl,-z,now", "-Wl,-z,relro", "-Wl,-z,noexecstack",
    "-Wl,-z,defs", "-Wl,-z,separate-code", "-Wl,--as-needed", "-Wl,--build-id=none"};

enum class Outcome { kBuilt, kTooMuch, kDiskFull, kBroken };
struct Attempt {
  Outcome outcome = Outcome::kBroken;
  std::string text;
};

Status write_file(const std::string& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  if (!file) return fail_errno(path, "write", errno);
  return {};
}

std::string read_log(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(4096, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return text;
}

Attempt judge(int status, const std::string& log) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {Outcome::kBuilt, ""};
  auto says = [&](const char* what) { return log.find(what) != std::string::npos; };
  if (says("No space left")) return {Outcome::kDiskFull, "no space left for the compiler's files"};
  if (WIFSIGNALED(status) || says("virtual memory exhausted") || says("out of memory") || says("annot allocate") ||
      says("Killed signal") || says("File too large") || says("CPU time limit"))
    return {Outcome::kTooMuch, "the compiler ran into its limits of memory, CPU time or file size"};
  std::string line;
  std::istringstream lines(log);
  for (std::string candidate; std::getline(lines, candidate) && line.empty();)
    if (candidate.find("error") != std::string::npos) line = candidate;
  return {Outcome::kBroken, "the compiler failed: " + (line.empty() ? log.substr(0, 200) : line.substr(0, 300))};
}

// Waits for the child until `until`, then kills its process group: gcc runs cc1, as and ld.
Attempt wait_for(pid_t child, std::chrono::steady_clock::time_point until, const std::string& log_path) {
  const int handle = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  bool done = false;
  while (handle >= 0 && !done) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    pollfd entry{handle, POLLIN, 0};
    done = poll(&entry, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 1 << 30))) == 1;
  }
  if (handle >= 0) close(handle);
  if (!done) kill(-child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  kill(-child, SIGKILL);  // whatever outlived the driver
  if (!done) return {Outcome::kTooMuch, "compiling took too long"};
  return judge(status, read_log(log_path));
}

bool redirect(int fd, const char* path, int flags) {
  const int opened = open(path, flags, 0600);
  if (opened < 0 || opened == fd) return opened == fd;
  const bool done = dup2(opened, fd) == fd;
  close(opened);
  return done;
}

Attempt run(const BuildOptions& options, const char* level, const std::string& folder, const std::string& object_path,
            std::chrono::steady_clock::time_point until) {
  const std::string log_path = folder + "/gcc.log";
  std::vector<const char*> argv = {options.compiler.c_str(), level};
  argv.insert(argv.end(), kFlags.begin(), kFlags.end());
  for (const char* last : {"-o", object_path.c_str(), "module.c", "-lm"}) argv.push_back(last);
  argv.push_back(nullptr);
  const std::string temporary = "TMPDIR=" + folder;
  const char* const environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", temporary.c_str(), nullptr};

  const pid_t child = access(options.compiler.c_str(), X_OK) == 0 ? fork() : -1;
  if (child < 0) return {Outcome::kBroken, "can't start " + options.compiler + ": " + fail_errno("", "", errno).value().text};
  if (child == 0) {
    setpgid(0, 0);
    // Of the compiler alone: this process may be larger.
    const rlimit memory{options.memory_bytes, options.memory_bytes};
    const bool limited = options.memory_bytes == 0 || setrlimit(RLIMIT_AS, &memory) == 0;
    if (limited && chdir(folder.c_str()) == 0 && redirect(0, "/dev/null", O_RDONLY) && redirect(1, "/dev/null", O_WRONLY) &&
        redirect(2, log_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC))
      execve(options.compiler.c_str(), const_cast<char* const*>(argv.data()), const_cast<char* const*>(environment));
    _exit(127);
  }
  setpgid(child, child);  // here as well: whoever is first, its group is there before it can be killed
  return wait_for(child, until, log_path);
}

}  // namespace

Status build_object(const CheckedModule& module, const std::string& work_folder, const std::string& object_path,
                    const BuildOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  NETSERV_TRY(write_file(work_folder + "/module.c", module.c_source));
  NETSERV_TRY(write_file(work_folder + "/module.h", module.c_header));
  for (const EmbeddedHeader& header : embedded_headers())
    NETSERV_TRY(write_file(work_folder + "/" + std::string(header.name), header.text));

  Attempt attempt = run(options, "-O2", work_folder, object_path, start + options.deadline / 2);
  if (attempt.outcome == Outcome::kTooMuch) {
    unlink(object_path.c_str());
    attempt = run(options, "-O1", work_folder, object_path, start + options.deadline);
  }
  if (attempt.outcome == Outcome::kBuilt) return {};
  unlink(object_path.c_str());
  switch (attempt.outcome) {
    case Outcome::kTooMuch:
      return fail(Origin::kPublisher, "module", "is too much to compile, optimised or not: " + attempt.text);
    case Outcome::kDiskFull: return fail(Origin::kSystem, work_folder, attempt.text);
    case Outcome::kBroken:
    case Outcome::kBuilt: break;
  }
  return fail(Origin::kSystem, "compiler", attempt.text);
}

}  // namespace netserv::compile
