// An NSLP's connection to gistd.
#pragma once

#include "transport/api_codec.h"
#include "sys/seqpacket.h"

#include <optional>
#include <string>

namespace netserv::transport {

class ApiClient {
 public:
  // Connects and registers; waits for gistd's answer. Afterwards the socket does not block.
  static Result<ApiClient> open(const std::string& path, const Register& registration);
  int fd() const { return channel_.fd(); }
  // The next indication, or empty if there is none now. An error when gistd has gone.
  Result<std::optional<ApiIndication>> next();
  Status send(const ApiRequest& request) { return channel_.send(encode(request)); }

 private:
  sys::Channel channel_;
};

}  // namespace netserv::transport
