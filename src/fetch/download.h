// Downloads a file and hashes it on the way to the disk. Runs in the confined half of the download helper: all that
// libcurl and the TLS library make of a stranger's bytes happens there.
#pragma once

#include <functional>

#include "base/result.h"
#include "fetch/job.h"

namespace netserv::fetch {

// Writes to the open file `output`. Errors carry an NCM status code and name the URL. Blocks until done, at most
// job.deadline.
Result<Fetched> download(const FetchJob& job, int output,
                         const std::function<void(std::uint64_t bytes, std::uint64_t total)>& on_progress);

}  // namespace netserv::fetch
