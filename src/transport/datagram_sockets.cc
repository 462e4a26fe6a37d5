#include "transport/datagram_sockets.h"

#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <time.h>

#include <cerrno>

#include "transport/packet_image.h"
#include "transport/socket_address.h"

namespace netserv::transport {
namespace {

constexpr std::size_t kBatch = 64;
constexpr std::size_t kControl = 512;
constexpr int kBindTries = 100;
constexpr timespec kBindPause{0, 20'000'000};

Status set(int fd, int level, int option, int value, const char* what) {
  if (::setsockopt(fd, level, option, &value, sizeof value) != 0) return fail_errno("GIST socket", what, errno);
  return {};
}

Result<sys::UniqueFd> make_socket(int family, int type, int protocol) {
  sys::UniqueFd fd(::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  if (!fd) return fail_errno("GIST socket", "socket", errno);
  int bytes = 4 << 20;
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0)
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  return fd;
}

Result<sys::UniqueFd> udp_socket(bool v4, std::uint16_t port) {
  NETSERV_ASSIGN(sys::UniqueFd fd, make_socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0));
  if (v4) {
    for (int option : {IP_PKTINFO, IP_RECVTTL, IP_RECVTOS, IP_RECVERR})
      NETSERV_TRY(set(fd.get(), IPPROTO_IP, option, 1, "option"));
  } else {
    for (int option : {IPV6_V6ONLY, IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS, IPV6_RECVERR})
      NETSERV_TRY(set(fd.get(), IPPROTO_IPV6, option, 1, "option"));
  }
  const SocketAddress any = to_socket_address(v4 ? IpAddress() : IpAddress::from_bytes(Bytes(16)), port);
  // The children of a gistd that was killed hold the port for a moment yet.
  for (int tries = 1; ::bind(fd.get(), any.get(), any.length) != 0; ++tries) {
    if (errno != EADDRINUSE || tries == kBindTries)
      return fail_errno("GIST socket", "bind UDP port " + std::to_string(port), errno);
    ::nanosleep(&kBindPause, nullptr);
  }
  return fd;
}

// One datagram as recvmmsg left it.
struct Slot {
  std::array<std::byte, 65536> payload;
  alignas(cmsghdr) std::array<char, kControl> control;
  sockaddr_storage from;
};

gist::Datagram read(const msghdr& header, std::size_t bytes, std::uint16_t local_port) {
  gist::Datagram d;
  const auto& from = *static_cast<const sockaddr_storage*>(header.msg_name);
  d.source = to_address(from);
  d.source_port = port_of(from);
  d.destination_port = local_port;
  const auto* payload = static_cast<const std::byte*>(header.msg_iov->iov_base);
  d.payload.assign(payload, payload + bytes);
  const auto number = [](cmsghdr* c) {
    int value = 0;
    std::memcpy(&value, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0) >= sizeof value ? sizeof value : 1);
    return value;
  };
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(const_cast<msghdr*>(&header), c)) {
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      d.destination = IpAddress::from_bytes({reinterpret_cast<const std::byte*>(&info.ipi_addr), 4});
      d.interface = static_cast<std::uint32_t>(info.ipi_ifindex);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      d.destination = IpAddress::from_bytes({reinterpret_cast<const std::byte*>(&info.ipi6_addr), 16});
      d.interface = info.ipi6_ifindex;
    } else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
               (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)) {
      d.ttl = static_cast<std::uint8_t>(number(c));
    } else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) ||
               (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)) {
      d.dscp = static_cast<std::uint8_t>(number(c) >> 2 & 0x3f);
    }
  }
  return d;
}

// Adds a control message; `used` grows. The room is kControl bytes, cleared.
template <class T>
void add_control(msghdr& header, std::size_t& used, int level, int type, const T& value) {
  auto* c = reinterpret_cast<cmsghdr*>(static_cast<char*>(header.msg_control) + used);
  c->cmsg_level = level;
  c->cmsg_type = type;
  c->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(c), &value, sizeof value);
  used += CMSG_SPACE(sizeof value);
  header.msg_controllen = used;
}

// Source address (unspecified: the kernel chooses) and interface (0: likewise).
void add_packet_info(msghdr& header, std::size_t& used, const IpAddress& source, std::uint32_t interface, bool v4) {
  if (v4) {
    in_pktinfo info{};
    info.ipi_ifindex = static_cast<int>(interface);
    std::memcpy(&info.ipi_spec_dst, source.bytes().data(), 4);
    add_control(header, used, IPPROTO_IP, IP_PKTINFO, info);
  } else {
    in6_pktinfo info{};
    info.ipi6_ifindex = interface;
    if (source.is_v6()) std::memcpy(&info.ipi6_addr, source.bytes().data(), 16);
    add_control(header, used, IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
}

Status send_one(int fd, msghdr& header, const IpAddress& to) {
  while (::sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    // An ICMP error about an earlier datagram is reported once and is not ours to mind here.
    if (errno == EINTR || errno == ECONNREFUSED) continue;
    return fail_errno(to.to_string(), "send", errno);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<DatagramSockets>> DatagramSockets::open(std::uint16_t port) {
  auto sockets = std::make_unique<DatagramSockets>();
  for (bool v4 : {true, false}) {
    Family& f = sockets->families_[v4 ? 0 : 1];
    auto raw = make_socket(v4 ? AF_INET : AF_INET6, SOCK_RAW, IPPROTO_RAW);
    if (!raw && !v4 && raw.error().text.find("not supported") != std::string::npos) break;
    if (!raw) return fail(raw.error());
    f.raw = *std::move(raw);
    NETSERV_ASSIGN(f.udp, udp_socket(v4, port));
  }
  return sockets;
}

std::vector<int> DatagramSockets::fds() const {
  std::vector<int> out;
  for (const Family& f : families_)
    if (f.udp) out.push_back(f.udp.get());
  return out;
}

std::vector<gist::Datagram> DatagramSockets::receive(int fd) {
  thread_local std::vector<Slot> slots(8);
  std::array<mmsghdr, 8> headers;
  std::array<iovec, 8> vectors;
  std::vector<gist::Datagram> out;
  SocketAddress own;
  own.length = sizeof own.storage;
  ::getsockname(fd, own.get(), &own.length);
  while (out.size() < kBatch) {
    for (std::size_t i = 0; i < slots.size(); ++i) {
      headers[i] = {};
      vectors[i] = {slots[i].payload.data(), slots[i].payload.size()};
      msghdr& h = headers[i].msg_hdr;
      h.msg_name = &slots[i].from;
      h.msg_namelen = sizeof slots[i].from;
      h.msg_iov = &vectors[i];
      h.msg_iovlen = 1;
      h.msg_control = slots[i].control.data();
      h.msg_controllen = kControl;
    }
    const int n = ::recvmmsg(fd, headers.data(), static_cast<unsigned>(slots.size()), MSG_DONTWAIT, nullptr);
    if (n < 0 && (errno == EINTR || errno == ECONNREFUSED)) continue;
    if (n <= 0) break;
    for (int i = 0; i < n; ++i) {
      gist::Datagram d = read(headers[static_cast<std::size_t>(i)].msg_hdr, headers[static_cast<std::size_t>(i)].msg_len,
                              port_of(own.storage));
      if (d.source_port != 0 && !d.destination.is_unspecified()) out.push_back(std::move(d));
    }
  }
  return out;
}

std::vector<DatagramSockets::IcmpError> DatagramSockets::icmp_errors(int fd) {
  std::vector<IcmpError> out;
  std::array<std::byte, 2048> quoted;
  for (std::size_t i = 0; i < kBatch; ++i) {
    alignas(cmsghdr) std::array<char, kControl> control{};
    iovec vector{quoted.data(), quoted.size()};
    msghdr header{};
    header.msg_iov = &vector;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const ssize_t n = ::recvmsg(fd, &header, MSG_ERRQUEUE | MSG_DONTWAIT);
    if (n < 0) break;
    for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
      const bool v4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR;
      const bool v6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR;
      if (!v4 && !v6) continue;
      sock_extended_err error;
      std::memcpy(&error, CMSG_DATA(c), sizeof error);
      const bool port4 = error.ee_origin == SO_EE_ORIGIN_ICMP && error.ee_type == ICMP_DEST_UNREACH &&
                         error.ee_code == ICMP_PORT_UNREACH;
      const bool port6 = error.ee_origin == SO_EE_ORIGIN_ICMP6 && error.ee_type == ICMP6_DST_UNREACH &&
                         error.ee_code == ICMP6_DST_UNREACH_NOPORT;
      const bool big4 = error.ee_origin == SO_EE_ORIGIN_ICMP && error.ee_type == ICMP_DEST_UNREACH &&
                        error.ee_code == ICMP_FRAG_NEEDED;
      const bool big6 = error.ee_origin == SO_EE_ORIGIN_ICMP6 && error.ee_type == ICMP6_PACKET_TOO_BIG;
      const bool too_big = (big4 || big6) && error.ee_info != 0;
      if (!port4 && !port6 && !too_big) continue;
      IcmpError& found = out.emplace_back();
      found.quoted.assign(quoted.begin(), quoted.begin() + n);
      if (too_big) found.mtu = static_cast<std::uint16_t>(std::min(error.ee_info, 65535u));
    }
  }
  return out;
}

Status DatagramSockets::send(const gist::Datagram& d) {
  const bool v4 = d.destination.is_v4();
  if (!family(d.destination).udp) return fail(Origin::kSystem, d.destination.to_string(), "no socket of this IP version");
  SocketAddress to = to_socket_address(d.destination, d.destination_port);
  iovec vector{const_cast<std::byte*>(d.payload.data()), d.payload.size()};
  alignas(cmsghdr) std::array<char, kControl> control{};
  msghdr header{};
  header.msg_name = to.get();
  header.msg_namelen = to.length;
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  std::size_t used = 0;
  add_packet_info(header, used, d.source, 0, v4);
  add_control(header, used, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TTL : IPV6_HOPLIMIT, int{d.ttl});
  add_control(header, used, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TOS : IPV6_TCLASS, d.dscp << 2);
  return send_one(family(d.destination).udp.get(), header, d.destination);
}

Status DatagramSockets::send_query(const gist::Datagram& d, std::uint16_t router_alert) {
  return send_raw(query_packet(d, router_alert), d);
}

Status DatagramSockets::send_as(const gist::Datagram& d) { return send_raw(plain_packet(d), d); }

Status DatagramSockets::forward(const gist::Datagram& d) {
  gist::Datagram onward = d;
  onward.interface = 0;  // where it came in, not where it goes
  return send_raw(rebuild_packet(d), onward);
}

Status DatagramSockets::send_raw(ByteSpan packet, const gist::Datagram& d) {
  const bool v4 = d.destination.is_v4();
  if (!family(d.destination).raw) return fail(Origin::kSystem, d.destination.to_string(), "no socket of this IP version");
  SocketAddress to = to_socket_address(d.destination, 0);  // IPv6 raw sockets take no port here
  iovec vector{const_cast<std::byte*>(packet.data()), packet.size()};
  alignas(cmsghdr) std::array<char, kControl> control{};
  msghdr header{};
  header.msg_name = to.get();
  header.msg_namelen = to.length;
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  if (d.interface != 0) {
    header.msg_control = control.data();
    std::size_t used = 0;
    add_packet_info(header, used, {}, d.interface, v4);
  }
  return send_one(family(d.destination).raw.get(), header, d.destination);
}

}  // namespace netserv::transport
