#include "wire/gist/stream.h"

#include "wire/gist/header.h"

namespace netserv::gist {

void StreamSplitter::append(ByteSpan bytes) {
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(at_));
  at_ = 0;
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

ByteSpan StreamSplitter::next() {
  const ByteSpan rest = ByteSpan(buffer_).subspan(at_);
  ByteReader in(rest);
  const CommonHeader header = decode_header(in);
  const std::size_t size = kHeaderSize + header.length * 4u;
  if (!in.ok() || rest.size() < size) return {};
  at_ += size;
  return rest.first(size);
}

}  // namespace netserv::gist
