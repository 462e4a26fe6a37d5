// The download helper's two halves. The outer one keeps its rights, touches no byte of the stranger's, makes the
// output file, waits, and removes the file if anything went wrong. The inner one gives everything up (user,
// files, system calls, resources) and then downloads.
#pragma once

#include <functional>
#include <string_view>

#include "fetch/job.h"

namespace netserv::fetch {

// Blocks until done, at most a little over job.deadline. Single-threaded callers (it forks). `say` gets the lines
// that the helper prints (job.h), the answer last. True if the file is there.
bool run_helper(const FetchJob& job, const std::function<void(std::string_view line)>& say);

}  // namespace netserv::fetch
