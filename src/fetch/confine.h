// The sandbox of both web clients: an ordinary user that can read certificates and resolver files, write no file it
// has not already open, start nothing, and reach the network.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "sandbox/identity.h"

namespace netserv::fetch {

struct Limits {
  std::uint64_t file_bytes = 0;
  std::chrono::milliseconds deadline{};  // CPU time gets the same
};

Status confine_web_client(sandbox::Identity identity, const std::string& ca_file, const Limits& limits);

}  // namespace netserv::fetch
