// Whole files as bytes.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace netserv::cli {

// An error if it cannot be read or has more than `most` bytes.
Result<Bytes> read_whole_file(const std::string& path, std::size_t most);

// A folder under $TMPDIR or /tmp that only this user can open; it goes with its owner.
class TemporaryFolder {
 public:
  static Result<TemporaryFolder> make();
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder();
  const std::string& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace netserv::cli
