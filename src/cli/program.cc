#include "cli/program.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "cli/exit_codes.h"

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
