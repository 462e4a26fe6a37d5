#include "wire/ip/address.h"

#include <arpa/inet.h>
#include <endian.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

namespace netserv {
namespace {

// Of 16 bytes, in words: every packet asks.
unsigned common_leading_bits(const std::byte* a, const std::byte* b) {
  std::array<std::uint64_t, 2> x, y;
  std::memcpy(x.data(), a, sizeof x);
  std::memcpy(y.data(), b, sizeof y);
  const auto leading = [](std::uint64_t word) { return static_cast<unsigned>(std::countl_zero(be64toh(word))); };
  return x[0] != y[0] ? leading(x[0] ^ y[0]) : 64 + leading(x[1] ^ y[1]);
}

}  // namespace

IpAddress IpAddress::v4(std::uint32_t host_order) {
  IpAddress a;
  for (int i = 0; i < 4; ++i) a.bytes_[i] = std::byte(host_order >> (24 - 8 * i) & 0xff);
  return a;
}

IpAddress IpAddress::v6(std::span<const std::byte, 16> bytes) {
  IpAddress a;
  a.family_ = 6;
  std::copy(bytes.begin(), bytes.end(), a.bytes_.begin());
  return a;
}

IpAddress IpAddress::from_bytes(ByteSpan bytes) {
  IpAddress a;
  if (bytes.size() == 4) std::memcpy(a.bytes_.data(), bytes.data(), 4);
  if (bytes.size() != 16) return a;
  a.family_ = 6;
  std::memcpy(a.bytes_.data(), bytes.data(), 16);
  return a;
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  std::string copy(text);
  std::array<std::byte, 16> raw{};
  if (copy.find(':') == std::string::npos && inet_pton(AF_INET, copy.c_str(), raw.data()) == 1)
    return from_bytes(ByteSpan(raw).first(4));
  if (inet_pton(AF_INET6, copy.c_str(), raw.data()) == 1) return v6(raw);
  return fail(Origin::kPeer, copy, "not an IPv4 or IPv6 address");
}

std::uint32_t IpAddress::v4_host_order() const {
  std::uint32_t v = 0;
  for (int i = 0; i < 4; ++i) v = v << 8 | std::to_integer<std::uint32_t>(bytes_[i]);
  return v;
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes_[0] == std::byte{127};
  static const IpAddress kLoopback6 = *parse("::1");
  return *this == kLoopback6;
}

bool IpAddress::is_link_local() const {
  if (is_v4()) return bytes_[0] == std::byte{169} && bytes_[1] == std::byte{254};
  return bytes_[0] == std::byte{0xfe} && (bytes_[1] & std::byte{0xc0}) == std::byte{0x80};
}

bool IpAddress::is_multicast() const {
  if (is_v4()) return (bytes_[0] & std::byte{0xf0}) == std::byte{0xe0};
  return bytes_[0] == std::byte{0xff};
}

bool IpAddress::is_unspecified() const {
  return std::all_of(bytes_.begin(), bytes_.end(), [](std::byte b) { return b == std::byte{0}; });
}

std::string IpAddress::to_string() const {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), text, sizeof text);
  return text;
}

Prefix::Prefix(IpAddress address, unsigned length)
    : address_(address), length_(static_cast<std::uint8_t>(std::min(length, address.bits()))) {
  std::array<std::byte, 16> raw{};
  std::copy(address.bytes().begin(), address.bytes().end(), raw.begin());
  for (unsigned bit = length_; bit < address.bits(); ++bit) raw[bit / 8] &= ~std::byte(0x80 >> bit % 8);
  address_ = IpAddress::from_bytes(ByteSpan(raw).first(address.bytes().size()));
}

Result<Prefix> Prefix::parse(std::string_view text) {
  std::size_t slash = text.find('/');
  NETSERV_ASSIGN(IpAddress address, IpAddress::parse(text.substr(0, slash)));
  unsigned length = address.bits();
  if (slash != std::string_view::npos) {
    std::string_view digits = text.substr(slash + 1);
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (error != std::errc{} || end != digits.data() + digits.size() || length > address.bits())
      return fail(Origin::kPeer, std::string(text),
                  "prefix length must be 0 to " + std::to_string(address.bits()));
  }
  Prefix prefix(address, length);
  if (prefix.address() != address)
    return fail(Origin::kPeer, std::string(text), "host bits are set; write " + prefix.to_string());
  return prefix;
}

bool Prefix::contains(const IpAddress& address) const {
  return address.family_ == address_.family_ && common_leading_bits(address_.bytes_.data(), address.bytes_.data()) >= length_;
}

bool Prefix::contains(const Prefix& other) const {
  return other.length_ >= length_ && contains(other.address_);
}

std::string Prefix::to_string() const { return address_.to_string() + "/" + std::to_string(length_); }

}  // namespace netserv
