// Where the SDK (headers, flags, templates) is on this machine.
#pragma once

#include <string>

#include "base/result.h"

namespace netserv::cli {

// `given` if not empty, else $NETSERV_SDK, else ../share/netserv/sdk beside the program, else the source tree this
// program was built from. An error of the operator if there is no SDK there.
Result<std::string> find_sdk(const std::string& given);

}  // namespace netserv::cli
