#include "transport/router_alert.h"

#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <set>

namespace netserv::transport {
namespace {

// IPv4 packets with options: a plain packet to this node is no business of this socket.
Status only_options(int fd) {
  std::array<sock_filter, 4> code{{{BPF_LD | BPF_B | BPF_ABS, 0, 0, 0},
                                   {BPF_JMP | BPF_JGT | BPF_K, 0, 1, 0x45},
                                   {BPF_RET | BPF_K, 0, 0, 0xffff},
                                   {BPF_RET | BPF_K, 0, 0, 0}}};
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
    return fail_errno("router alert socket", "filter", errno);
  return {};
}

Result<sys::UniqueFd> alert_socket(bool v4, const std::string& interface, int value) {
  sys::UniqueFd fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                            v4 ? IPPROTO_UDP : IPPROTO_RAW));
  if (!fd) return fail_errno("router alert socket", "socket", errno);
  if (v4) NETSERV_TRY(only_options(fd.get()));
  // The kernel keeps one list of IPv6 alert sockets for all network namespaces: else they take each other's packets.
  const int on = 1;
  if (!v4 && ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_ROUTER_ALERT_ISOLATE, &on, sizeof on) != 0)
    return fail_errno("router alert socket", "isolate", errno);
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(),
                   static_cast<socklen_t>(interface.size() + 1)) != 0)
    return fail_errno(interface, "router alert socket", errno);
  const int bytes = 4 << 20;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  const int set = v4 ? ::setsockopt(fd.get(), IPPROTO_IP, IP_ROUTER_ALERT, &value, sizeof value)
                     : ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_ROUTER_ALERT, &value, sizeof value);
  if (set != 0) return fail_errno(interface, "router alert", errno);
  return fd;
}

}  // namespace

Result<std::unique_ptr<RouterAlert>> RouterAlert::open(const std::vector<std::string>& interfaces,
                                                       const std::vector<std::uint16_t>& values) {
  auto out = std::make_unique<RouterAlert>();
  const bool v6 = static_cast<bool>(sys::UniqueFd(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
  for (const std::string& interface : interfaces) {
    const std::uint32_t index = ::if_nametoindex(interface.c_str());
    if (index == 0) return fail(Origin::kOperator, interface, "no such interface");
    NETSERV_ASSIGN(sys::UniqueFd v4, alert_socket(true, interface, 1));
    out->sockets_.push_back({std::move(v4), index});
    // A packet is copied to every socket that asks for its value.
    for (std::uint16_t value : v6 ? std::set(values.begin(), values.end()) : std::set<std::uint16_t>()) {
      NETSERV_ASSIGN(sys::UniqueFd socket, alert_socket(false, interface, value));
      out->sockets_.push_back({std::move(socket), index});
    }
  }
  return out;
}

std::vector<int> RouterAlert::fds() const {
  std::vector<int> out;
  for (const Socket& s : sockets_) out.push_back(s.fd.get());
  return out;
}

std::vector<RouterAlert::Packet> RouterAlert::receive(int fd) {
  std::vector<Packet> out;
  std::uint32_t interface = 0;
  for (const Socket& s : sockets_)
    if (s.fd.get() == fd) interface = s.interface;
  thread_local std::array<std::byte, 65536> buffer;
  while (out.size() < 64) {
    const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    out.push_back({Bytes(buffer.begin(), buffer.begin() + n), interface});
  }
  return out;
}

}  // namespace netserv::transport
