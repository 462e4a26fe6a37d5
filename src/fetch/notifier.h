// The notification helper: one process for each notification URL. Reads events, a line of JSON each, on standard
// input and posts them as JSON lines (application/x-ndjson); ends at end of file, after a last try.
#pragma once

#include <string>

#include "base/result.h"
#include "fetch/job.h"

namespace netserv::fetch {

// First line on standard input: a FetchJob whose url, ca_file, rules and identity are used. Confines itself, then
// reads `input` until it ends. Says {"posted": N, "dropped": N, "error": "..."} on `output` after each try.
Status run_notifier(const FetchJob& job, int input, int output, std::string already_read);

}  // namespace netserv::fetch
