#include "fetch/helper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "fetch/confine.h"
#include "fetch/download.h"
#include "sys/clock.h"
#include "sys/fd.h"
#include "wire/ncm/status.h"

namespace netserv::fetch {
namespace {

constexpr std::size_t kMaxLine = 65536;

void write_line(int fd, std::string line) {
  line += '\n';
  for (std::string_view rest = line; !rest.empty();) {
    ssize_t n = ::write(fd, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // nobody listens any more
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
}

[[noreturn]] void inner(const FetchJob& job, int output, int to_outer) {
  Limits limits{job.max_bytes + 1, job.deadline};
  Status confined = confine_web_client(job.identity, job.ca_file, limits);
  Result<Fetched> answer = confined ? download(job, output,
                                               [&](std::uint64_t bytes, std::uint64_t total) {
                                                 write_line(to_outer, encode_progress(bytes, total));
                                               })
                                    : Result<Fetched>(fail(std::move(confined).error()));
  write_line(to_outer, encode_answer(answer));
  ::_exit(0);
}

// Hands whole lines on until the other end closes or the time is up. Returns the last one.
std::string relay(int fd, TimePoint until, const std::function<void(std::string_view)>& say) {
  std::string pending, last;
  for (;;) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - sys::now()).count();
    pollfd wait{fd, POLLIN, 0};
    if (left <= 0 || ::poll(&wait, 1, static_cast<int>(left)) == 0) return {};
    char buffer[4096];
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return last;
    pending.append(buffer, static_cast<std::size_t>(n));
    for (std::size_t end; (end = pending.find('\n')) != std::string::npos; pending.erase(0, end + 1)) {
      last = pending.substr(0, end);
      Progress progress;
      if (decode_progress(last, progress)) say(last);
    }
    if (pending.size() > kMaxLine) return {};
  }
}

Result<Fetched> run(const FetchJob& job, int output, const std::function<void(std::string_view)>& say) {
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) return fail_errno("download helper", "pipe", errno);
  sys::UniqueFd from_inner(pipe_fds[0]), to_outer(pipe_fds[1]);
  pid_t child = ::fork();
  if (child < 0) return fail_errno("download helper", "fork", errno);
  if (child == 0) {
    from_inner.reset();
    inner(job, output, to_outer.get());
  }
  to_outer.reset();
  std::string last = relay(from_inner.get(), sys::now() + job.deadline + std::chrono::seconds(2), say);
  ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (last.empty())
    return ncm::refuse(ncm::StatusCode::kFetchTimeout, job.url, "the download helper died or ran out of time");
  return decode_answer(last);
}

}  // namespace

bool run_helper(const FetchJob& job, const std::function<void(std::string_view)>& say) {
  sys::UniqueFd output(::open(job.output.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
  Result<Fetched> answer = output ? run(job, output.get(), say)
                                  : Result<Fetched>(fail_errno(job.output, "making the file", errno));
  if (output && !answer) ::unlink(job.output.c_str());
  say(encode_answer(answer));
  return answer.has_value();
}

}  // namespace netserv::fetch
