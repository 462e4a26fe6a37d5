// A folder of its own for a test or a benchmark; it goes with its owner.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "base/result.h"

namespace netserv::test {

class TemporaryFolder {
 public:
  TemporaryFolder() : path_((std::filesystem::temp_directory_path() / "netserv-test-XXXXXX").string()) {
    NETSERV_CHECK(mkdtemp(path_.data()) != nullptr);
  }
  ~TemporaryFolder() {
    std::error_code error;
    do {  // a process that has not ended may still write into it
      std::filesystem::remove_all(path_, error);
    } while (error == std::errc::directory_not_empty);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace netserv::test
