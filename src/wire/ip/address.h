// IPv4 and IPv6 addresses and prefixes as values. IPv4 is kept in its own four bytes, never as a mapped one.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace netserv {

class IpAddress {
 public:
  IpAddress() = default;  // 0.0.0.0
  static IpAddress v4(std::uint32_t host_order);
  static IpAddress v6(std::span<const std::byte, 16> bytes);
  // `bytes` holds 4 or 16 bytes in network order; anything else gives 0.0.0.0.
  static IpAddress from_bytes(ByteSpan bytes);
  static Result<IpAddress> parse(std::string_view text);

  bool is_v4() const { return family_ == 4; }
  bool is_v6() const { return family_ == 6; }
  unsigned bits() const { return is_v4() ? 32 : 128; }
  ByteSpan bytes() const { return ByteSpan(bytes_).first(is_v4() ? 4 : 16); }
  std::uint32_t v4_host_order() const;
  bool is_loopback() const;
  bool is_link_local() const;
  bool is_multicast() const;
  bool is_unspecified() const;
  std::string to_string() const;
  auto operator<=>(const IpAddress&) const = default;

 private:
  friend class Prefix;
  std::uint8_t family_ = 4;
  std::array<std::byte, 16> bytes_{};  // unused tail is zero
};

// Address and length; host bits are zero (parse() refuses others, the constructor clears them).
class Prefix {
 public:
  Prefix() = default;  // 0.0.0.0/0
  Prefix(IpAddress address, unsigned length);
  // "10.0.0.0/8", "2001:db8::/32", or a bare address (/32, /128).
  static Result<Prefix> parse(std::string_view text);

  const IpAddress& address() const { return address_; }
  unsigned length() const { return length_; }
  bool contains(const IpAddress& address) const;
  bool contains(const Prefix& other) const;
  bool overlaps(const Prefix& other) const { return contains(other) || other.contains(*this); }
  std::string to_string() const;
  auto operator<=>(const Prefix&) const = default;

 private:
  IpAddress address_;
  std::uint8_t length_ = 0;
};

}  // namespace netserv

template <>
struct std::hash<netserv::IpAddress> {
  std::size_t operator()(const netserv::IpAddress& a) const {
    return std::hash<std::string_view>{}(netserv::as_text(a.bytes()));
  }
};
