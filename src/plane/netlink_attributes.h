// The attributes of a netlink message (linux/netlink.h).
#pragma once

#include <linux/netlink.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace netserv::plane {

// Those between `at` and `end` up to type kLast, by type; null: not there. One that is cut short ends the list. Written out,
// since it is done for every packet: libmnl makes a call of each step.
template <std::uint16_t kLast>
using Attributes = std::array<const nlattr*, kLast + 1>;
template <std::uint16_t kLast>
Attributes<kLast> attributes_between(const char* at, const char* end) {
  Attributes<kLast> found{};
  while (end - at >= static_cast<std::ptrdiff_t>(sizeof(nlattr))) {
    const auto* attribute = reinterpret_cast<const nlattr*>(at);
    if (attribute->nla_len < sizeof(nlattr) || attribute->nla_len > end - at) break;
    if (const int type = attribute->nla_type & NLA_TYPE_MASK; type <= kLast) found[static_cast<std::size_t>(type)] = attribute;
    at += NLA_ALIGN(attribute->nla_len);
  }
  return found;
}
// Those behind a message's own header of `header_bytes`.
template <std::uint16_t kLast>
Attributes<kLast> attributes_of(const nlmsghdr* message, std::size_t header_bytes) {
  const char* start = reinterpret_cast<const char*>(message);
  return attributes_between<kLast>(start + NLMSG_LENGTH(NLMSG_ALIGN(header_bytes)), start + message->nlmsg_len);
}
template <std::uint16_t kLast>
Attributes<kLast> attributes_within(const nlattr* nest) {
  const char* start = reinterpret_cast<const char*>(nest);
  return attributes_between<kLast>(start + NLA_HDRLEN, start + nest->nla_len);
}
inline std::size_t payload_bytes(const nlattr* attribute) { return attribute->nla_len - static_cast<std::size_t>(NLA_HDRLEN); }
inline const char* payload(const nlattr* attribute) { return reinterpret_cast<const char*>(attribute) + NLA_HDRLEN; }
inline bool has_bytes(const nlattr* attribute, std::size_t least) {
  return attribute != nullptr && payload_bytes(attribute) >= least;
}
// Of an attribute that has_bytes(sizeof(T)).
template <class T>
T value_of(const nlattr* attribute) {
  T value;
  std::memcpy(&value, payload(attribute), sizeof value);
  return value;
}

}  // namespace netserv::plane
