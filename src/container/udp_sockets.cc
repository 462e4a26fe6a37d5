#include "container/udp_sockets.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace netserv::container {
namespace {

// `address` holds 4 or 16 bytes. Returns the length used, 0 for another family.
socklen_t fill(sockaddr_storage& to, int family, std::span<const std::byte> address, std::uint16_t port) {
  std::memset(&to, 0, sizeof to);
  if (family == 4 && address.size() >= 4) {
    auto& in = reinterpret_cast<sockaddr_in&>(to);
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&in.sin_addr, address.data(), 4);
    return sizeof in;
  }
  if (family == 6 && address.size() >= 16) {
    auto& in6 = reinterpret_cast<sockaddr_in6&>(to);
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    std::memcpy(&in6.sin6_addr, address.data(), 16);
    return sizeof in6;
  }
  return 0;
}

}  // namespace

UdpSockets::Socket* UdpSockets::find(ModuleSlot owner, int handle) {
  auto at = std::find_if(sockets_.begin(), sockets_.end(),
                         [&](const Socket& s) { return s.owner == owner && s.handle == handle; });
  return at == sockets_.end() ? nullptr : &*at;
}

int UdpSockets::open(ModuleSlot owner, int family, std::uint16_t local_port) {
  if (family != 4 && family != 6) return -EAFNOSUPPORT;
  int handle = 0;
  while (find(owner, handle) != nullptr) ++handle;
  if (static_cast<std::size_t>(handle) >= kPerModule) return -EMFILE;
  sys::UniqueFd fd(::socket(family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return -errno;
  if (family == 6) {
    int on = 1;  // IPv4 peers are the business of an IPv4 socket
    if (::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) return -errno;
  }
  sockaddr_storage local;
  const std::byte any[16] = {};
  socklen_t length = fill(local, family, any, local_port);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&local), length) != 0) return -errno;
  sockets_.push_back({owner, handle, family, std::move(fd), false});
  return handle;
}

int UdpSockets::send(ModuleSlot owner, int handle, int family, std::span<const std::byte> address,
                     std::uint16_t port, std::span<const std::byte> data) {
  Socket* socket = find(owner, handle);
  if (socket == nullptr) return -EBADF;
  if (family != socket->family) return -EAFNOSUPPORT;
  sockaddr_storage to;
  socklen_t length = fill(to, family, address, port);
  if (length == 0) return -EINVAL;
  ssize_t n = ::sendto(socket->fd.get(), data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                       reinterpret_cast<sockaddr*>(&to), length);
  return n < 0 ? -errno : static_cast<int>(n);
}

int UdpSockets::receive(ModuleSlot owner, int handle, int& family, std::span<std::byte> address,
                        std::uint16_t& port, std::span<std::byte> out) {
  Socket* socket = find(owner, handle);
  if (socket == nullptr) return -EBADF;
  socket->muted = false;
  sockaddr_storage from{};
  socklen_t length = sizeof from;
  ssize_t n = ::recvfrom(socket->fd.get(), out.data(), out.size(), MSG_DONTWAIT,
                         reinterpret_cast<sockaddr*>(&from), &length);
  if (n < 0) return -errno;
  std::fill(address.begin(), address.end(), std::byte{0});
  family = socket->family;
  if (from.ss_family == AF_INET && address.size() >= 4) {
    auto& in = reinterpret_cast<sockaddr_in&>(from);
    std::memcpy(address.data(), &in.sin_addr, 4);
    port = ntohs(in.sin_port);
  } else if (from.ss_family == AF_INET6 && address.size() >= 16) {
    auto& in6 = reinterpret_cast<sockaddr_in6&>(from);
    std::memcpy(address.data(), &in6.sin6_addr, 16);
    port = ntohs(in6.sin6_port);
  }
  return static_cast<int>(n);
}

int UdpSockets::close(ModuleSlot owner, int handle) {
  std::size_t before = sockets_.size();
  std::erase_if(sockets_, [&](const Socket& s) { return s.owner == owner && s.handle == handle; });
  return sockets_.size() < before ? 0 : -EBADF;
}

void UdpSockets::close_all(ModuleSlot owner) {
  std::erase_if(sockets_, [&](const Socket& s) { return s.owner == owner; });
}

void UdpSockets::mute(ModuleSlot owner, int handle) {
  if (Socket* socket = find(owner, handle)) socket->muted = true;
}

void UdpSockets::add_to_poll(std::vector<pollfd>& out) const {
  for (const Socket& socket : sockets_) out.push_back({socket.muted ? -1 : socket.fd.get(), POLLIN, 0});
}

}  // namespace netserv::container
