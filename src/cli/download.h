// A whole file over http or https, for the person at the keyboard: their own network, their own rights. (What a
// node downloads for strangers goes through src/fetch.)
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace netserv::cli {

// Follows at most five redirects; gives up after a minute. Errors name the URL.
Result<Bytes> download(const std::string& url, std::size_t most);

}  // namespace netserv::cli
