// Text without a C or C++ library: a view, and a bounded buffer to write into.
#ifndef NETSERV_TEXT_HPP
#define NETSERV_TEXT_HPP

#include <stddef.h>
#include <stdint.h>

#include "netserv/address.h"

namespace netserv::guest {

// Characters that someone else owns; no NUL at the end.
struct Text {
  const char* data = nullptr;
  uint32_t size = 0;

  constexpr Text() = default;
  constexpr Text(const char* d, uint32_t n) : data(d), size(n) {}
  template <size_t N>
  constexpr Text(const char (&literal)[N]) : data(literal), size(N - 1) {}

  constexpr bool empty() const { return size == 0; }
  constexpr char operator[](uint32_t i) const { return data[i]; }
  // From `at` on, at most `n` characters; empty past the end.
  constexpr Text sub(uint32_t at, uint32_t n = UINT32_MAX) const {
    if (at > size) return {};
    return {data + at, size - at < n ? size - at : n};
  }
  constexpr bool operator==(Text other) const {
    if (size != other.size) return false;
    for (uint32_t i = 0; i < size; i++)
      if (data[i] != other.data[i]) return false;
    return true;
  }
};

constexpr char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

constexpr bool equal_ignoring_case(Text a, Text b) {
  if (a.size != b.size) return false;
  for (uint32_t i = 0; i < a.size; i++)
    if (ascii_lower(a[i]) != ascii_lower(b[i])) return false;
  return true;
}

// Appends to `capacity` characters that the caller owns. What does not fit whole is left out, and full() says so.
class TextWriter {
 public:
  TextWriter(char* out, uint32_t capacity) : out_(out), capacity_(capacity) {}

  TextWriter& add(Text text) {
    if (full_ || text.size > capacity_ - size_) {
      full_ = true;
      return *this;
    }
    __builtin_memcpy(out_ + size_, text.data, text.size);
    size_ += text.size;
    return *this;
  }
  TextWriter& number(uint64_t value) {
    char digits[20];
    uint32_t n = 20;
    do {
      digits[--n] = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value);
    return add({digits + n, 20 - n});
  }
  TextWriter& hex(uint64_t value) {  // 16 digits
    char digits[16];
    for (uint32_t i = 0; i < 16; i++) digits[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
    return add({digits, 16});
  }
  // 4 or 16 bytes in network order; `family` is 4 or 6.
  TextWriter& address(uint8_t family, const uint8_t* bytes) {
    char text[NETSERV_ADDRESS_TEXT_MAX];
    return add({text, netserv_format_address(family, bytes, text)});
  }

  bool full() const { return full_; }
  uint32_t size() const { return size_; }
  Text text() const { return {out_, size_}; }
  // Back to `size` characters (at most size()), not full: for taking back what did not fit.
  void cut(uint32_t size) {
    size_ = size;
    full_ = false;
  }

 private:
  char* out_;
  uint32_t capacity_;
  uint32_t size_ = 0;
  bool full_ = false;
};

}  // namespace netserv::guest

#endif  // NETSERV_TEXT_HPP
