// Speaks NCM text to a local node over its UNIX socket. For one thread; blocking.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/result.h"
#include "cli/stream_client.h"
#include "wire/ncm/reader.h"

namespace netserv::cli {

inline constexpr const char* kDefaultNodeSocket = "/run/netserv/ncm.sock";

class NcmClient {
 public:
  static Result<NcmClient> connect(const std::string& path, std::chrono::milliseconds timeout);
  // Sends the request and waits for its response. A refusal is a Response, not an Error.
  Result<ncm::Response> exchange(const ncm::Message& request);

 private:
  NcmClient(StreamClient stream, std::chrono::milliseconds timeout) : stream_(std::move(stream)), timeout_(timeout) {}
  StreamClient stream_;
  std::chrono::milliseconds timeout_;
  ncm::ResponseReader reader_;
};

// True while a module's installation goes on.
bool is_installing(const ncm::Response& response);

// Repeats `probe` until its answer is final or `attempts` are used up (kExitTimeout). `progress` sees every
// answer; `pause` waits between two.
Result<ncm::Response> poll_until_final(const std::function<Result<ncm::Response>()>& probe, unsigned attempts,
                                       const std::function<void(const ncm::Response&)>& progress,
                                       const std::function<void()>& pause);

}  // namespace netserv::cli
