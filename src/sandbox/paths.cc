#include "sandbox/paths.h"

#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace netserv::sandbox {
namespace {

// Newer than Debian 12's own header.
constexpr std::uint64_t kTruncate = 1u << 14;  // version 3
constexpr std::uint64_t kRefer = 1u << 13;     // version 2

constexpr std::uint64_t kVersion1 = (1u << 13) - 1;
constexpr std::uint64_t kReadRights = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kExecuteRights = kReadRights | LANDLOCK_ACCESS_FS_EXECUTE;
constexpr std::uint64_t kWriteRights =
    kReadRights | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
    LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM | kRefer | kTruncate;
// What means anything for a rule on something that is no folder.
constexpr std::uint64_t kFileRights =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_EXECUTE | kTruncate;

std::uint64_t rights_of(PathAccess access) {
  switch (access) {
    case PathAccess::kRead: return kReadRights;
    case PathAccess::kReadExecute: return kExecuteRights;
    case PathAccess::kReadWrite: return kWriteRights;
  }
  return 0;
}

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

}  // namespace

int landlock_version() {
  const long version = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return version < 0 ? 0 : static_cast<int>(version);
}

Status restrict_paths(std::span<const PathRule> rules) {
  const int version = landlock_version();
  if (version < 1) return fail(Origin::kOperator, "Landlock", "this kernel has none (CONFIG_SECURITY_LANDLOCK, lsm=)");
  std::uint64_t handled = kVersion1;
  if (version >= 2) handled |= kRefer;
  if (version >= 3) handled |= kTruncate;

  landlock_ruleset_attr attributes{};
  attributes.handled_access_fs = handled;
  Descriptor set{static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0))};
  if (set.fd < 0) return fail_errno("Landlock", "create_ruleset", errno);
  for (const PathRule& rule : rules) {
    Descriptor at{open(rule.path.c_str(), O_PATH | O_CLOEXEC)};
    if (at.fd < 0) {
      if (errno == ENOENT) continue;
      return fail_errno(rule.path, "open", errno);
    }
    struct stat info {};
    if (fstat(at.fd, &info) != 0) return fail_errno(rule.path, "stat", errno);
    landlock_path_beneath_attr beneath{};
    beneath.parent_fd = at.fd;
    beneath.allowed_access = rights_of(rule.access) & handled;
    if (!S_ISDIR(info.st_mode)) beneath.allowed_access &= kFileRights;
    if (syscall(SYS_landlock_add_rule, set.fd, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) != 0)
      return fail_errno(rule.path, "Landlock rule", errno);
  }
  if (syscall(SYS_landlock_restrict_self, set.fd, 0) != 0) return fail_errno("Landlock", "restrict_self", errno);
  return {};
}

}  // namespace netserv::sandbox
