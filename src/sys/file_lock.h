// One process at a time: a lock on a file (flock), freed when its descriptor is closed, also by a death.
//
// Whoever holds the lock may unlink the file: those that waited for it look whether it is still the one at its path.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "sys/fd.h"

namespace netserv::sys {

// Makes the file if it is not there, and waits as long as another holds it.
Result<UniqueFd> lock_file(const std::string& path);
// Nothing if another holds it.
Result<std::optional<UniqueFd>> try_lock_file(const std::string& path);

}  // namespace netserv::sys
