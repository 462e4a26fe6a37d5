#include "plane/xdp/interface.h"

#include <linux/ethtool.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "sys/route_socket.h"

namespace netserv::plane {
namespace {

bool ask(const std::string& interface, unsigned long what, ifreq& request) {
  sys::UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
  return fd && ::ioctl(fd.get(), what, &request) == 0;
}

bool ask_ethtool(const std::string& interface, void* command) {
  ifreq request{};
  request.ifr_data = static_cast<char*>(command);
  return ask(interface, SIOCETHTOOL, request);
}

}  // namespace

std::uint32_t receive_queues(const std::string& interface) {
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  return ask_ethtool(interface, &channels) ? std::max(1u, channels.combined_count + channels.rx_count) : 1;
}

std::uint32_t mtu_of(const std::string& interface) {
  ifreq request{};
  return ask(interface, SIOCGIFMTU, request) ? static_cast<std::uint32_t>(request.ifr_mtu) : 1500;
}

VlanStripping stop_vlan_stripping(const std::string& interface) {
  ethtool_value flags{ETHTOOL_GFLAGS, 0};
  if (!ask_ethtool(interface, &flags) || (flags.data & ETH_FLAG_RXVLAN) == 0) return VlanStripping::kOff;
  ethtool_value wanted{ETHTOOL_SFLAGS, flags.data & ~std::uint32_t{ETH_FLAG_RXVLAN}};
  bool set = ask_ethtool(interface, &wanted) && ask_ethtool(interface, &flags);
  return set && (flags.data & ETH_FLAG_RXVLAN) == 0 ? VlanStripping::kOff : VlanStripping::kOn;
}

Result<LinkWatch> LinkWatch::open() {
  NETSERV_ASSIGN(sys::UniqueFd fd, sys::open_route_socket(RTMGRP_LINK, sys::Blocking::kNo));
  return LinkWatch(std::move(fd));
}

LinkWatch::News LinkWatch::read() {
  News news;
  alignas(nlmsghdr) std::array<char, 16 * 1024> buffer;
  for (;;) {
    ssize_t n = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == ENOBUFS) {  // some news are lost: look at everything
      news.any = true;
      continue;
    }
    if (n <= 0) return news;
    auto left = static_cast<unsigned>(n);
    for (auto* m = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) {
      if (m->nlmsg_type != RTM_NEWLINK && m->nlmsg_type != RTM_DELLINK) continue;
      const auto* link = static_cast<const ifinfomsg*>(NLMSG_DATA(m));
      if (link->ifi_family != AF_UNSPEC) continue;  // a bridge's view of a port
      news.any = true;
      if (m->nlmsg_type == RTM_DELLINK) news.gone.insert(static_cast<unsigned>(link->ifi_index));
    }
  }
}

}  // namespace netserv::plane
