#include "daemons/netservd/helper_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>
#include <optional>

#include "sys/clock.h"
#include "sys/fd.h"

extern char** environ;

namespace netserv::daemon {
namespace {
constexpr std::size_t kMostOutput = 64 * 1024;
constexpr int kMostReads = 32;  // at a time: more than a pipe holds, and one that never stops does not keep others waiting
}

// Kept alive by its own exit handler, so that the child is reaped also after its owner has gone.
struct HelperProcess::Run : std::enable_shared_from_this<Run> {
  std::string program;
  pid_t pid = 0;
  sys::UniqueFd output;
  std::string text;
  std::optional<int> status;
  bool late = false;
  sys::EventHandle on_output, on_exit, on_deadline;
  std::function<void(Result<std::string>)> done;

  void kill_all() {
    if (!status && pid > 0) ::kill(-pid, SIGKILL);
  }
  void read_some() {
    char buffer[4096];
    for (int reads = 0; output && reads < kMostReads; ++reads) {
      ssize_t n = ::read(output.get(), buffer, sizeof buffer);
      if (n < 0) return;  // EAGAIN: more later
      if (n == 0) {
        on_output.reset();
        output.reset();
        return;
      }
      text.append(buffer, static_cast<std::size_t>(n));
      if (text.size() > kMostOutput) text.erase(0, kMostOutput / 2);  // the answer is the last line
    }
  }
  void finish() {
    if (!done) return;
    auto callback = std::move(done);
    done = nullptr;
    on_deadline.reset();
    on_output.reset();
    if (late) return callback(fail(Origin::kSystem, program, "took too long", ETIMEDOUT));
    if (text.empty())
      return callback(fail(Origin::kSystem, program,
                           WIFSIGNALED(*status) ? "was killed by signal " + std::to_string(WTERMSIG(*status))
                                                : "said nothing and ended with " + std::to_string(WEXITSTATUS(*status))));
    callback(std::move(text));
  }
};

Result<std::unique_ptr<HelperProcess>> HelperProcess::start(sys::EventLoop& loop, const std::vector<std::string>& argv,
                                                            const std::string& input, Duration deadline,
                                                            std::function<void(Result<std::string>)> done) {
  int in[2], out[2];
  if (::pipe2(in, O_CLOEXEC) != 0) return fail_errno(argv[0], "pipe", errno);
  sys::UniqueFd in_read(in[0]), in_write(in[1]);
  if (::pipe2(out, O_CLOEXEC | O_NONBLOCK) != 0) return fail_errno(argv[0], "pipe", errno);
  sys::UniqueFd out_read(out[0]), out_write(out[1]);
  ::fcntl(out_write.get(), F_SETFL, 0);

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in_read.get(), 0);
  ::posix_spawn_file_actions_adddup2(&actions, out_write.get(), 1);
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  std::vector<char*> arguments;
  for (const std::string& a : argv) arguments.push_back(const_cast<char*>(a.c_str()));
  arguments.push_back(nullptr);
  auto run = std::make_shared<Run>();
  int error = ::posix_spawn(&run->pid, argv[0].c_str(), &actions, &attributes, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) return fail_errno(argv[0], "cannot be run", error);

  if (!input.empty() && ::write(in_write.get(), input.data(), input.size()) < 0) run->kill_all();
  run->program = argv[0].substr(argv[0].rfind('/') + 1);
  run->output = std::move(out_read);
  run->done = std::move(done);
  run->on_output = loop.on_io(run->output.get(), EPOLLIN, [r = run.get()](std::uint32_t) { r->read_some(); });
  run->on_exit = loop.on_child_exit(run->pid, [r = run](int status) mutable {
    auto keep = r;
    keep->status = status;
    keep->read_some();
    keep->finish();
    keep->on_exit.reset();
  });
  run->on_deadline = loop.after(deadline, [r = run.get()] {
    r->late = true;
    r->kill_all();
  });
  return std::unique_ptr<HelperProcess>(new HelperProcess(std::move(run)));
}

HelperProcess::~HelperProcess() {
  run_->done = nullptr;
  run_->on_output.reset();
  run_->on_deadline.reset();
  run_->kill_all();
}

}  // namespace netserv::daemon
