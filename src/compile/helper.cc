#include "compile/helper.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/limits.h"
#include "sandbox/paths.h"
#include "sandbox/system_calls.h"

namespace netserv::compile {
namespace {

using Json = nlohmann::json;

constexpr int kNiceness = 10;

std::string error_json(const Error& error) {
  return Json{{"ok", false}, {"origin", to_string(error.origin)}, {"subject", error.subject}, {"text", error.text}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

class File {
 public:
  File() = default;
  explicit File(int fd) : fd_(fd) {}
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

Result<File> open_file(const std::string& path, int flags, mode_t mode = 0644) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0) return fail_errno(path, "open", errno);
  return File(fd);
}

class ScratchFolder {
 public:
  static Result<ScratchFolder> make(const std::string& parent) {
    std::string path = parent + "/netserv-compile-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) return fail_errno(parent, "mkdtemp", errno);
    return ScratchFolder(path);
  }
  ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchFolder& operator=(ScratchFolder&&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

Result<Bytes> read_all(int fd, std::size_t limit, const std::string& subject) {
  Bytes out;
  std::byte buffer[16384];
  while (true) {
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(subject, "read", errno);
    if (n == 0) return out;
    out.insert(out.end(), buffer, buffer + n);
    if (out.size() > limit)
      return fail(Origin::kPublisher, "module", "is longer than " + std::to_string(limit) + " bytes");
  }
}

Status write_all(int fd, ByteSpan bytes, const std::string& subject) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(subject, "write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  if (fsync(fd) != 0 && errno != EINVAL && errno != EROFS) return fail_errno(subject, "fsync", errno);
  return {};
}

struct Files {
  File input, output, manifest;
};

Status confine(const HelperJob& job, const std::string& scratch) {
  if (geteuid() == 0) {
    NETSERV_TRY(sandbox::leave_network());
    NETSERV_TRY(sandbox::drop_to(job.identity));
  }
  NETSERV_TRY(sandbox::die_with_parent());
  NETSERV_TRY(sandbox::no_new_privileges());
  (void)!nice(kNiceness);  // packets first; where that is refused it is this low already
  using sandbox::PathAccess;
  const sandbox::PathRule rules[] = {
      {"/usr", PathAccess::kReadExecute},       {"/lib", PathAccess::kReadExecute},
      {"/lib64", PathAccess::kReadExecute},     {"/bin", PathAccess::kReadExecute},
      {"/etc/ld.so.cache", PathAccess::kRead},  {"/etc/alternatives", PathAccess::kReadExecute},
      {job.compiler, PathAccess::kReadExecute}, {"/dev/null", PathAccess::kReadWrite},
      {scratch, PathAccess::kReadWrite}};
  NETSERV_TRY(sandbox::restrict_paths(rules));
  sandbox::ResourceLimits limits;
  limits.cpu = std::chrono::duration_cast<std::chrono::seconds>(job.deadline) + std::chrono::seconds(1);
#if !defined(__SANITIZE_ADDRESS__)  // whose shadow is terabytes; the compiler has its limit all the same
  limits.address_space = job.memory_bytes;
#endif
  limits.file_size = job.file_bytes;
  limits.processes = 1024;  // of that user: up to 256 notification helpers are among them
  limits.open_files = 64;
  NETSERV_TRY(sandbox::apply_limits(limits));
  const std::span<const std::string_view> lists[] = {sandbox::dangerous_calls(), sandbox::network_calls()};
  return sandbox::refuse_calls(lists);
}

Result<CheckedModule> compile_confined(const HelperJob& job, const Files& files, const std::string& scratch) {
  NETSERV_TRY(confine(job, scratch));
  NETSERV_ASSIGN(const Bytes wasm, read_all(files.input.get(), job.limits.module_bytes, job.input));
  NETSERV_ASSIGN(CheckedModule module, check_module(wasm, job.limits));
  BuildOptions options;
  options.compiler = job.compiler;
  options.deadline = job.deadline;
  options.memory_bytes = job.memory_bytes;
  const std::string object = scratch + "/module.so";
  NETSERV_TRY(build_object(module, scratch, object, options));
  NETSERV_ASSIGN(const File built, open_file(object, O_RDONLY));
  NETSERV_ASSIGN(const Bytes bytes, read_all(built.get(), job.file_bytes, object));
  NETSERV_TRY(write_all(files.output.get(), bytes, job.output));
  if (files.manifest.get() >= 0)
    NETSERV_TRY(write_all(files.manifest.get(), as_bytes(encode_manifest(module.manifest) + "\n"), job.manifest_output));
  return module;
}

// The child: its answer goes through `answer`, nothing else comes back.
[[noreturn]] void child_main(const HelperJob& job, const Files& files, const std::string& scratch, int answer) {
  const auto module = compile_confined(job, files, scratch);
  const std::string json = module ? Json{{"ok", true},
                                         {"manifest", Json::parse(encode_manifest(module->manifest))},
                                         {"memory_pages", module->memory_pages},
                                         {"imports", module->imports},
                                         {"exports", module->exports}}
                                        .dump()
                                  : error_json(module.error());
  const bool written = write(answer, json.data(), json.size()) == static_cast<ssize_t>(json.size());
  _exit(written ? (module ? 0 : 1) : 2);
}

// Everything the child says until it closes the pipe, dies, or the time is up; then it is dead.
std::string collect(pid_t child, int answer, std::chrono::steady_clock::time_point until) {
  std::string out;
  while (out.size() < 65536) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd entry{answer, POLLIN, 0};
    if (left.count() <= 0 || poll(&entry, 1, static_cast<int>(left.count())) == 0) break;
    char buffer[4096];
    const ssize_t n = read(answer, buffer, sizeof buffer);
    if (n == 0) break;
    if (n > 0) out.append(buffer, static_cast<std::size_t>(n));
    if (n < 0 && errno != EINTR) break;
  }
  kill(child, SIGKILL);
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  return out;
}

Result<HelperAnswer> run(const HelperJob& job) {
  Files files;
  NETSERV_ASSIGN(files.input, open_file(job.input, O_RDONLY));
  NETSERV_ASSIGN(files.output, open_file(job.output, O_WRONLY | O_CREAT | O_TRUNC));
  if (!job.manifest_output.empty()) {
    NETSERV_ASSIGN(files.manifest, open_file(job.manifest_output, O_WRONLY | O_CREAT | O_TRUNC));
  }
  NETSERV_ASSIGN(const ScratchFolder scratch, ScratchFolder::make(job.scratch_parent));
  const bool root = geteuid() == 0;
  if (root && chown(scratch.path().c_str(), job.identity.uid, job.identity.gid) != 0)
    return fail_errno(scratch.path(), "chown", errno);

  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail_errno("helper", "pipe", errno);
  const File from_child(ends[0]);
  File to_parent(ends[1]);
  // As fork(), and in a PID namespace of its own if we may.
  const pid_t child =
      static_cast<pid_t>(syscall(SYS_clone, (root ? CLONE_NEWPID : 0) | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  if (child < 0) return fail_errno("helper", "clone", errno);
  if (child == 0) child_main(job, files, scratch.path(), to_parent.get());
  to_parent = File();

  HelperAnswer out;
  out.json = collect(child, from_child.get(), std::chrono::steady_clock::now() + job.deadline + std::chrono::seconds(2));
  const Json json = Json::parse(out.json, nullptr, false);
  const auto ok = json.is_object() ? json.find("ok") : json.end();
  if (ok == json.end() || !ok->is_boolean())
    return fail(Origin::kPublisher, "module", "made the compile helper die or run out of time: it is malformed or too big");
  out.ok = ok->get<bool>();
  return out;
}

}  // namespace

HelperAnswer run_helper(const HelperJob& job) {
  Result<HelperAnswer> answer = run(job);
  if (!answer) answer = HelperAnswer{error_json(answer.error()), false};
  if (!answer->ok) {
    unlink(job.output.c_str());
    if (!job.manifest_output.empty()) unlink(job.manifest_output.c_str());
  }
  return *answer;
}

}  // namespace netserv::compile
