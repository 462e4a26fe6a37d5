#include "sys/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

namespace netserv::sys {
namespace {

bool is_at(int fd, const std::string& path) {
  struct stat held {}, there {};
  return ::fstat(fd, &held) == 0 && ::stat(path.c_str(), &there) == 0 && held.st_dev == there.st_dev &&
         held.st_ino == there.st_ino;
}

Result<std::optional<UniqueFd>> lock(const std::string& path, int operation) {
  while (true) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd) return fail_errno(path, "open", errno);
    while (::flock(fd.get(), operation) != 0) {
      if (errno == EWOULDBLOCK) return std::nullopt;
      if (errno != EINTR) return fail_errno(path, "flock", errno);
    }
    if (is_at(fd.get(), path)) return std::optional(std::move(fd));
  }
}

}  // namespace

Result<UniqueFd> lock_file(const std::string& path) {
  NETSERV_ASSIGN(std::optional<UniqueFd> fd, lock(path, LOCK_EX));
  return std::move(*fd);
}

Result<std::optional<UniqueFd>> try_lock_file(const std::string& path) { return lock(path, LOCK_EX | LOCK_NB); }

}  // namespace netserv::sys
