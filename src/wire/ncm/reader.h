// Cuts a byte stream into messages or responses. Feed it what a socket gave, then call next() until it wants
// more. Holds at most one unit's limit plus the last feed. After an error the stream is out of step: answer
// and close.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/ncm/message.h"
#include "wire/ncm/response.h"

namespace netserv::ncm {

class MessageReader {
 public:
  void feed(std::string_view bytes) { buffer_ += bytes; }
  // The next whole message; nothing: feed more. Blank lines between messages are skipped.
  Result<std::optional<Message>> next();
  // True if part of a message is waiting: the peer closed too early.
  bool partial() const { return !buffer_.empty(); }

 private:
  std::string buffer_;
};

class ResponseReader {
 public:
  void feed(std::string_view bytes) { buffer_ += bytes; }
  Result<std::optional<Response>> next();
  bool partial() const { return !buffer_.empty(); }

 private:
  std::string buffer_;
};

// Length of the text up to and including the first blank line after a line that is not blank, or npos.
std::size_t find_head_end(std::string_view text);

}  // namespace netserv::ncm
