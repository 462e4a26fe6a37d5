#include "cli/sdk_folder.h"

#include <cstdlib>
#include <filesystem>
#include <vector>

namespace netserv::cli {

namespace fs = std::filesystem;

Result<std::string> find_sdk(const std::string& given) {
  std::vector<std::string> places;
  const char* environment = std::getenv("NETSERV_SDK");
  if (!given.empty()) {
    places = {given};
  } else if (environment && *environment) {
    places = {environment};
  } else {
    std::error_code error;
    fs::path self = fs::read_symlink("/proc/self/exe", error);
    if (!error) places.push_back(self.parent_path().parent_path() / "share/netserv/sdk");
    places.push_back(NETSERV_SOURCE_SDK);
  }
  for (const std::string& place : places) {
    std::error_code error;
    if (fs::exists(fs::path(place) / "include/netserv/abi.h", error)) return fs::absolute(place).string();
  }
  return fail(Origin::kOperator, places.front(),
              "no NetServ SDK there (include/netserv/abi.h is missing); set NETSERV_SDK or give --sdk FOLDER");
}

}  // namespace netserv::cli
