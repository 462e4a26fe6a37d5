// Resource limits of a helper process (setrlimit), inherited by what it starts. Unset fields stay as they are.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/result.h"

namespace netserv::sandbox {

struct ResourceLimits {
  std::optional<std::chrono::seconds> cpu = {};       // CPU time of one process; SIGXCPU, a second later SIGKILL
  std::optional<std::uint64_t> address_space = {};    // bytes
  std::optional<std::uint64_t> file_size = {};        // bytes of one file; writing more fails with EFBIG
  std::optional<std::uint64_t> processes = {};        // of the real user, threads included
  std::optional<std::uint64_t> open_files = {};
  bool core_dump = false;
};

// Lowers soft and hard limits. SIGXFSZ is ignored from then on, so that a full file is an error.
Status apply_limits(const ResourceLimits& limits);

}  // namespace netserv::sandbox
