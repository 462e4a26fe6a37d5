#include "cli/program.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "cli/exit_codes.h"
#include "sys/fd.h"

namespace netserv::cli {

namespace fs = std::filesystem;

std::string find_program(const std::string& name, const std::vector<std::string>& places) {
  std::error_code error;
  fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
  std::vector<std::string> all{name};
  all.insert(all.end(), places.begin(), places.end());
  for (const std::string& place : all) {
    fs::path path = here / place;  // an absolute place replaces `here`
    if (::access(path.c_str(), X_OK) == 0) return path.string();
  }
  return name;
}

Result<ProgramOutput> run_captured(const std::string& program, const std::vector<std::string>& arguments) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(program, "pipe", errno);
  sys::UniqueFd from(ends[0]), to(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return fail_errno(program, "fork", errno);
  if (child == 0) {
    ::dup2(to.get(), 1);
    ::dup2(to.get(), 2);
    (void)replace_with(program, arguments);
    ::_exit(127);
  }
  to.reset();
  ProgramOutput out;
  char buffer[4096];
  for (ssize_t n; (n = ::read(from.get(), buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR);)
    if (n > 0) out.text.append(buffer, static_cast<std::size_t>(n));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  out.status = WIFEXITED(status) ? WEXITSTATUS(status) : kExitFailed;
  if (out.status == 127) return fail(Origin::kOperator, program, "cannot be run (is it installed?)", kExitUnavailable);
  while (out.text.ends_with('\n')) out.text.pop_back();
  return out;
}

Error replace_with(const std::string& program, const std::vector<std::string>& arguments) {
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  ::execvp(program.c_str(), argv.data());
  Error error = fail_errno(program, "cannot be run (is it installed?)", errno).value();
  error.code = kExitUnavailable;
  return error;
}

}  // namespace netserv::cli
