// Cuts messages off a messaging association's byte stream by their Length (RFC 5971, 5.4).
#pragma once

#include <cstddef>

#include "base/bytes.h"

namespace netserv::gist {

// Holds at most one incomplete message: 8 + 65535 * 4 bytes, and what one append() brought.
class StreamSplitter {
 public:
  void append(ByteSpan bytes);
  // The next whole message, valid until the next call of append(); empty if there is none yet.
  ByteSpan next();
  std::size_t buffered() const { return buffer_.size() - at_; }

 private:
  Bytes buffer_;
  std::size_t at_ = 0;
};

}  // namespace netserv::gist
