// One line of the operator's socket as a value (docs/admin-socket.md). Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace netserv::daemon {

struct AdminRequest {
  enum class Verb : unsigned char { kStatus, kModules, kContainers, kEvents, kLogs, kDrain, kUndrain, kDisable, kEnable };
  Verb verb = Verb::kStatus;
  std::string publisher, module;
  bool follow = false;
  std::size_t last = 100;
};

// Errors carry an NCM status. Arguments of another type than the documented one count as left out.
Result<AdminRequest> decode_admin_request(std::string_view line);

}  // namespace netserv::daemon
