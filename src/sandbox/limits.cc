#include "sandbox/limits.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <sys/resource.h>

namespace netserv::sandbox {
namespace {

Status lower(int resource, const char* name, std::uint64_t soft, std::uint64_t hard) {
  rlimit now{};
  if (getrlimit(static_cast<__rlimit_resource>(resource), &now) != 0) return fail_errno(name, "getrlimit", errno);
  rlimit wanted{};
  wanted.rlim_max = std::min<rlim_t>(hard, now.rlim_max);
  wanted.rlim_cur = std::min<rlim_t>(soft, wanted.rlim_max);
  if (setrlimit(static_cast<__rlimit_resource>(resource), &wanted) != 0) return fail_errno(name, "setrlimit", errno);
  return {};
}

}  // namespace

Status apply_limits(const ResourceLimits& limits) {
  if (limits.cpu) {
    const auto seconds = static_cast<std::uint64_t>(std::max<std::int64_t>(limits.cpu->count(), 1));
    NETSERV_TRY(lower(RLIMIT_CPU, "RLIMIT_CPU", seconds, seconds + 1));
  }
  if (limits.address_space) NETSERV_TRY(lower(RLIMIT_AS, "RLIMIT_AS", *limits.address_space, *limits.address_space));
  if (limits.file_size) {
    std::signal(SIGXFSZ, SIG_IGN);
    NETSERV_TRY(lower(RLIMIT_FSIZE, "RLIMIT_FSIZE", *limits.file_size, *limits.file_size));
  }
  if (limits.processes) NETSERV_TRY(lower(RLIMIT_NPROC, "RLIMIT_NPROC", *limits.processes, *limits.processes));
  if (limits.open_files) NETSERV_TRY(lower(RLIMIT_NOFILE, "RLIMIT_NOFILE", *limits.open_files, *limits.open_files));
  if (!limits.core_dump) NETSERV_TRY(lower(RLIMIT_CORE, "RLIMIT_CORE", 0, 0));
  return {};
}

}  // namespace netserv::sandbox
