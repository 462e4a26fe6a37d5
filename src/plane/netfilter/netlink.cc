#include "plane/netfilter/netlink.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace netserv::plane {

Result<sys::UniqueFd> open_netfilter_socket(const char* subject) {
  sys::UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!fd) return fail_errno(subject, "netlink socket", errno);
  int bytes = 16 << 20;
  sockaddr_nl self{};
  self.nl_family = AF_NETLINK;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&self), sizeof self) != 0)
    return fail_errno(subject, "bind", errno);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
  timeval patience{5, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return fd;
}

void ignore_overruns(int fd) {
  int on = 1;
  ::setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on);
}

nlmsghdr* start_netfilter_message(void* at, std::uint8_t subsystem, std::uint8_t type, std::uint16_t resource,
                                  std::uint16_t flags) {
  nlmsghdr* message = mnl_nlmsg_put_header(at);
  message->nlmsg_type = static_cast<std::uint16_t>(subsystem << 8 | type);
  message->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  auto* extra = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
  extra->nfgen_family = AF_UNSPEC;
  extra->version = NFNETLINK_V0;
  extra->res_id = htons(resource);
  return message;
}

Status ask_netfilter(int fd, const nlmsghdr* message, const char* subject, const char* what) {
  if (::send(fd, message, message->nlmsg_len, 0) < 0) return fail_errno(subject, what, errno);
  std::array<char, 4096> reply;
  for (;;) {
    ssize_t n = ::recv(fd, reply.data(), reply.size(), 0);
    if (n < 0 && (errno == EINTR || errno == ENOBUFS)) continue;
    if (n < 0) return fail_errno(subject, what, errno);
    auto* header = reinterpret_cast<nlmsghdr*>(reply.data());
    if (n < static_cast<ssize_t>(sizeof(nlmsghdr) + sizeof(nlmsgerr)) || header->nlmsg_type != NLMSG_ERROR) continue;
    int error = static_cast<nlmsgerr*>(mnl_nlmsg_get_payload(header))->error;
    if (error != 0) return fail_errno(subject, what, -error);
    return {};
  }
}

}  // namespace netserv::plane
