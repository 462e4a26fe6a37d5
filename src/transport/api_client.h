// A signalling application's connection to gistd (docs/gist-api.md).
#pragma once

#include <optional>
#include <string>

#include "sys/seqpacket.h"
#include "wire/gist_api/codec.h"

namespace netserv::transport {

inline constexpr std::size_t kMaxApiMessage = 65536;

class ApiClient {
 public:
  // Connects and attaches; waits for gistd's answer. Afterwards the socket does not block.
  static Result<ApiClient> open(const std::string& path, const gist::Attach& attach);
  int fd() const { return channel_.fd(); }
  // The next message, or empty if there is none now. An error when gistd has gone.
  Result<std::optional<gist::ApiMessage>> next();
  Status send(const gist::ApiMessage& message) { return channel_.send(gist::encode_api_message(message)); }

 private:
  sys::Channel channel_;
};

}  // namespace netserv::transport
