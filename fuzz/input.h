// A fuzzer's input as a script: what to do next, byte for byte. Past its end there are zeros.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"

namespace netserv::fuzz {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {}
  bool more() const { return at_ != end_; }
  std::uint8_t byte() { return more() ? *at_++ : 0; }
  Bytes bytes(std::size_t most) {
    Bytes out(std::min<std::size_t>(byte() % (most + 1), static_cast<std::size_t>(end_ - at_)));
    for (std::byte& b : out) b = std::byte{*at_++};
    return out;
  }
  template <class T>
  const T* pick(const std::vector<T>& from) {
    const std::uint8_t n = byte();
    return from.empty() ? nullptr : &from[n % from.size()];
  }

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

}  // namespace netserv::fuzz
