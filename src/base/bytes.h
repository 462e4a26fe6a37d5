// Bounded reading and writing of big-endian ("network") and little-endian integers.
//
// ByteReader never reads past its span. A failed read is sticky: it and all later ones return zeros or empty
// spans, and ok() is false, so a decoder may read a whole structure and check once. sub(n) cuts a child that
// cannot read past its parent. Neither class allocates for a length it has not checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace netserv {

using Bytes = std::vector<std::byte>;
using ByteSpan = std::span<const std::byte>;

inline ByteSpan as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class ByteReader {
 public:
  ByteReader() = default;
  explicit ByteReader(ByteSpan bytes) : bytes_(bytes) {}

  bool ok() const { return !failed_; }
  void set_failed() { failed_ = true; }
  std::size_t remaining() const { return failed_ ? 0 : bytes_.size() - at_; }
  std::size_t position() const { return at_; }
  // True if nothing failed and nothing is left over.
  bool at_end() const { return !failed_ && at_ == bytes_.size(); }

  ByteSpan take(std::size_t n) {
    if (failed_ || n > bytes_.size() - at_) {
      failed_ = true;
      return {};
    }
    ByteSpan out = bytes_.subspan(at_, n);
    at_ += n;
    return out;
  }
  void skip(std::size_t n) { (void)take(n); }
  ByteReader sub(std::size_t n) {
    ByteReader child(take(n));
    child.failed_ = failed_;
    return child;
  }
  ByteSpan rest() { return take(remaining()); }

  std::uint8_t u8() { return static_cast<std::uint8_t>(big_endian(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(big_endian(2)); }
  std::uint32_t u24() { return static_cast<std::uint32_t>(big_endian(3)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(big_endian(4)); }
  std::uint64_t u64() { return big_endian(8); }
  std::string_view text(std::size_t n) { return as_text(take(n)); }

 private:
  std::uint64_t big_endian(std::size_t n) {
    std::uint64_t value = 0;
    for (std::byte b : take(n)) value = value << 8 | std::to_integer<std::uint64_t>(b);
    return value;
  }

  ByteSpan bytes_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

// Appends to a vector it owns; all integers big-endian.
class ByteWriter {
 public:
  void u8(std::uint8_t v) { big_endian(v, 1); }
  void u16(std::uint16_t v) { big_endian(v, 2); }
  void u24(std::uint32_t v) { big_endian(v, 3); }
  void u32(std::uint32_t v) { big_endian(v, 4); }
  void u64(std::uint64_t v) { big_endian(v, 8); }
  void bytes(ByteSpan b) { out_.insert(out_.end(), b.begin(), b.end()); }
  void text(std::string_view t) { bytes(as_bytes(t)); }
  void zeros(std::size_t n) { out_.insert(out_.end(), n, std::byte{0}); }

  std::size_t size() const { return out_.size(); }
  // Overwrites two bytes written before, for lengths known only at the end. `at` must be < size() - 1.
  void patch_u16(std::size_t at, std::uint16_t v) {
    out_[at] = std::byte(v >> 8);
    out_[at + 1] = std::byte(v & 0xff);
  }
  const Bytes& view() const { return out_; }
  Bytes take() { return std::move(out_); }

 private:
  void big_endian(std::uint64_t v, int n) {
    for (int shift = (n - 1) * 8; shift >= 0; shift -= 8) out_.push_back(std::byte(v >> shift & 0xff));
  }
  Bytes out_;
};

std::string to_hex(ByteSpan bytes);
// Empty result and false on odd length or a non-hex digit.
bool from_hex(std::string_view text, Bytes& out);

}  // namespace netserv
