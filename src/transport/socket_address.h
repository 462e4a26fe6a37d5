// Between our addresses and the kernel's.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "wire/ip/address.h"

namespace netserv::transport {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

inline SocketAddress to_socket_address(const IpAddress& address, std::uint16_t port) {
  SocketAddress out;
  if (address.is_v4()) {
    auto& a = reinterpret_cast<sockaddr_in&>(out.storage);
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    std::memcpy(&a.sin_addr, address.bytes().data(), 4);
    out.length = sizeof a;
  } else {
    auto& a = reinterpret_cast<sockaddr_in6&>(out.storage);
    a.sin6_family = AF_INET6;
    a.sin6_port = htons(port);
    std::memcpy(&a.sin6_addr, address.bytes().data(), 16);
    out.length = sizeof a;
  }
  return out;
}

inline IpAddress to_address(const sockaddr_storage& s) {
  if (s.ss_family == AF_INET6) {
    const auto& a = reinterpret_cast<const sockaddr_in6&>(s);
    return IpAddress::from_bytes({reinterpret_cast<const std::byte*>(&a.sin6_addr), 16});
  }
  const auto& a = reinterpret_cast<const sockaddr_in&>(s);
  return IpAddress::from_bytes({reinterpret_cast<const std::byte*>(&a.sin_addr), 4});
}

inline std::uint16_t port_of(const sockaddr_storage& s) {
  return ntohs(s.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(s).sin6_port
                                       : reinterpret_cast<const sockaddr_in&>(s).sin_port);
}

}  // namespace netserv::transport
