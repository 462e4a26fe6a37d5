#include "sys/route_socket.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>

namespace netserv::sys {

Result<UniqueFd> open_route_socket(std::uint32_t groups, Blocking blocking) {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | (blocking == Blocking::kYes ? 0 : SOCK_NONBLOCK), NETLINK_ROUTE));
  if (!fd) return fail_errno("rtnetlink", "socket", errno);
  sockaddr_nl self{};
  self.nl_family = AF_NETLINK;
  self.nl_groups = groups;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&self), sizeof self) != 0) return fail_errno("rtnetlink", "bind", errno);
  return fd;
}

}  // namespace netserv::sys
