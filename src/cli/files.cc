#include "cli/files.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace netserv::cli {

namespace fs = std::filesystem;

Result<Bytes> read_whole_file(const std::string& path, std::size_t most) {
  std::error_code error;
  if (fs::is_directory(path, error)) return fail(Origin::kOperator, path, "is a folder");
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail_errno(path, "cannot open", errno);
  Bytes bytes;
  char buffer[65536];
  while (file.read(buffer, sizeof buffer), file.gcount() > 0) {
    const auto* from = reinterpret_cast<const std::byte*>(buffer);
    bytes.insert(bytes.end(), from, from + file.gcount());
    if (bytes.size() > most) return fail(Origin::kOperator, path, fmt::format("has more than {} bytes", most));
  }
  if (file.bad()) return fail_errno(path, "cannot read", errno);
  return bytes;
}

Result<TemporaryFolder> TemporaryFolder::make() {
  const char* base = std::getenv("TMPDIR");
  std::string path = std::string(base && *base ? base : "/tmp") + "/netserv-XXXXXX";
  if (!mkdtemp(path.data())) return fail_errno(path, "cannot make a temporary folder", errno);
  return TemporaryFolder(path);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code error;
  if (!path_.empty()) fs::remove_all(path_, error);
}

}  // namespace netserv::cli
