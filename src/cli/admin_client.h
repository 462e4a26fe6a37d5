// Client of netservd's admin socket (docs/admin-socket.md). For one thread; blocking.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"
#include "cli/stream_client.h"

namespace netserv::cli {

inline constexpr const char* kDefaultAdminSocket = "/run/netserv/admin.sock";

class AdminClient {
 public:
  static Result<AdminClient> connect(const std::string& path);
  // Sends `request`; hands every {"event":...} to `event`; gives the last line's `result`. A refusal is an Error
  // with the node's subject, text and code. With `wait_for_ever` (follow) there is no time limit between lines.
  Result<nlohmann::json> ask(const nlohmann::json& request, bool wait_for_ever,
                             const std::function<void(const nlohmann::json&)>& event);

 private:
  explicit AdminClient(StreamClient stream) : stream_(std::move(stream)) {}
  Result<nlohmann::json> next_line(bool wait_for_ever);
  StreamClient stream_;
  std::string buffer_;
};

}  // namespace netserv::cli
