#include "cli/module_project.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

namespace netserv::cli {
namespace {

namespace fs = std::filesystem;

bool is_name(const std::string& name) {
  auto good = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-'; };
  return !name.empty() && name.size() <= 64 && name[0] != '.' && std::all_of(name.begin(), name.end(), good);
}

std::string folder_name(const std::string& path) {
  fs::path absolute = fs::absolute(path).lexically_normal();
  return (absolute.has_filename() ? absolute.filename() : absolute.parent_path().filename()).string();
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

Result<std::string> read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail_errno(path.string(), "cannot read", errno);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Status write_file(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) return fail_errno(path.string(), "cannot write", errno);
  return {};
}

std::optional<std::string> in_path(std::initializer_list<const char*> names) {
  const char* variable = std::getenv("PATH");
  const std::string path = variable ? variable : "/usr/bin:/bin";
  for (const char* name : names) {
    for (std::size_t at = 0; at <= path.size();) {
      std::size_t end = std::min(path.find(':', at), path.size());
      std::string file = path.substr(at, end - at) + "/" + name;
      if (access(file.c_str(), X_OK) == 0) return file;
      at = end + 1;
    }
  }
  return std::nullopt;
}

// Runs it to its end; its exit status, or -1 - signal.
Result<int> run_to_end(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t pid = 0;
  int error = posix_spawn(&pid, argv[0], nullptr, nullptr, argv.data(), environ);
  if (error) return fail_errno(words[0], "cannot start", error);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return fail_errno(words[0], "cannot wait", errno);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1 - WTERMSIG(status);
}

}  // namespace

Result<std::vector<std::string>> new_project(const std::string& sdk, const std::string& path, Language language) {
  const std::string name = folder_name(path);
  if (!is_name(name))
    return fail(Origin::kOperator, path, "a module's name is 1 to 64 letters, digits, dots, dashes, underscores");
  std::error_code error;
  if (fs::exists(path, error) && !fs::is_empty(path, error))
    return fail(Origin::kOperator, path, "exists and is not an empty folder");
  const fs::path source = fs::path(sdk) / "template" / (language == Language::kC ? "c" : "c++");
  if (!fs::is_directory(source, error)) return fail(Origin::kOperator, source.string(), "no template there");
  fs::create_directories(path, error);
  if (error) return fail_errno(path, "cannot make the folder", error.value());
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(source, error)) {
    NETSERV_ASSIGN(std::string text, read_file(entry.path()));
    replace_all(text, "@NAME@", name);
    std::string file = entry.path().filename().string();
    NETSERV_TRY(write_file(fs::path(path) / file, text));
    files.push_back(file);
  }
  if (error) return fail_errno(source.string(), "cannot list", error.value());
  std::sort(files.begin(), files.end());
  return files;
}

Result<BuildResult> build_project(const std::string& sdk, const std::string& folder, const std::string& output,
                                  std::string& log) {
  BuildResult result;
  std::error_code error;
  bool cxx = false;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    std::string extension = entry.path().extension().string();
    std::string stem = entry.path().stem().string();
    if (extension != ".c" && extension != ".cc" && extension != ".cpp") continue;
    if (stem.size() >= 5 && stem.compare(stem.size() - 5, 5, "_test") == 0) continue;
    cxx = cxx || extension != ".c";
    result.sources.push_back(entry.path().string());
  }
  if (error) return fail_errno(folder, "cannot list the folder", error.value());
  if (result.sources.empty()) return fail(Origin::kOperator, folder, "no .c, .cc or .cpp file in it");
  std::sort(result.sources.begin(), result.sources.end());

  auto clang = cxx ? in_path({"clang++", "clang++-14"}) : in_path({"clang", "clang-14"});
  if (!clang)
    return fail(Origin::kOperator, cxx ? "clang++" : "clang", "not found in PATH; on Debian: apt-get install clang lld");
  if (!in_path({"wasm-ld", "wasm-ld-14"}))
    return fail(Origin::kOperator, "wasm-ld", "not found in PATH; on Debian: apt-get install lld");

  result.wasm = output.empty() ? (fs::path(folder) / "build" / (folder_name(folder) + ".wasm")).string() : output;
  fs::path parent = fs::path(result.wasm).parent_path();
  if (!parent.empty()) fs::create_directories(parent, error);
  if (error) return fail_errno(parent.string(), "cannot make the folder", error.value());

  std::vector<std::string> words = {*clang, "@" + sdk + "/flags/wasm32.rsp",
                                    "@" + sdk + (cxx ? "/flags/wasm32-c++.rsp" : "/flags/wasm32-c.rsp"),
                                    "-I" + sdk + "/include", "-I" + folder};
  words.insert(words.end(), result.sources.begin(), result.sources.end());
  words.insert(words.end(), {"-o", result.wasm});
  log = fmt::format("{}", fmt::join(words, " "));
  if (isatty(STDERR_FILENO)) fmt::print(stderr, "compiling {} ...\n", folder);
  NETSERV_ASSIGN(int status, run_to_end(words));
  if (status != 0) return fail(Origin::kPublisher, folder, "does not compile; the compiler's messages are above");
  result.bytes = fs::file_size(result.wasm, error);
  if (error) return fail_errno(result.wasm, "the compiler left no file", error.value());
  return result;
}

}  // namespace netserv::cli
