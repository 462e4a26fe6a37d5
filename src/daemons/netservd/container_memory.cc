#include "daemons/netservd/container_memory.h"

#include <algorithm>
#include <fstream>
#include <iterator>

namespace netserv::daemon {
namespace {

constexpr std::string_view kRoot = "/sys/fs/cgroup";

bool names_memory(std::string_view controllers) {
  while (!controllers.empty()) {
    auto comma = controllers.find(',');
    if (controllers.substr(0, comma) == "memory") return true;
    controllers.remove_prefix(comma == std::string_view::npos ? controllers.size() : comma + 1);
  }
  return false;
}

}  // namespace

// Lines are HIERARCHY:CONTROLLERS:PATH; "0::PATH" is version 2. A mixed system has memory in version 1.
std::string memory_file(std::string_view text) {
  std::string unified;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    auto first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    std::string_view controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    if (names_memory(controllers)) return std::string(kRoot) + "/memory" + std::string(path) + "/memory.usage_in_bytes";
    if (controllers.empty()) unified = std::string(kRoot) + std::string(path) + "/memory.current";
  }
  return unified;
}

std::optional<std::uint64_t> memory_in_use(pid_t pid) {
  if (pid <= 0) return std::nullopt;
  std::ifstream proc("/proc/" + std::to_string(pid) + "/cgroup");
  const std::string text{std::istreambuf_iterator<char>(proc), std::istreambuf_iterator<char>()};
  std::ifstream file(memory_file(text));
  std::uint64_t bytes = 0;
  if (!(file >> bytes)) return std::nullopt;
  return bytes;
}

}  // namespace netserv::daemon
