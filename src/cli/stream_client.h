// A UNIX stream connection with a deadline on every step. For one thread; blocking.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sys/fd.h"

namespace netserv::cli {

class StreamClient {
 public:
  // Errors name the path and what to do: kExitUnavailable in Error.code.
  static Result<StreamClient> connect(const std::string& path);

  // kExitTimeout in Error.code if the peer does not take it in time. One that has closed is receive()'s to notice.
  Status send(std::string_view bytes, std::chrono::milliseconds timeout);
  // At least one byte; empty when the peer has closed. No timeout: waits for ever.
  Result<std::string> receive(std::optional<std::chrono::milliseconds> timeout);

 private:
  StreamClient(sys::UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  Status wait(short events, std::optional<std::chrono::milliseconds> timeout);

  sys::UniqueFd fd_;
  std::string path_;
};

}  // namespace netserv::cli
