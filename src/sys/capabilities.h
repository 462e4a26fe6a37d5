// Gives up what a daemon does not need of root's rights.
#pragma once

#include <sys/capability.h>

#include <vector>

#include "base/result.h"

namespace netserv::sys {

// Keeps these capabilities (permitted, effective, and ambient, so that tools it starts have them), gives up all
// others for good, and sets no_new_privs. Those of `keep` that the process does not have are left out.
Status keep_capabilities(const std::vector<cap_value_t>& keep);

}  // namespace netserv::sys
