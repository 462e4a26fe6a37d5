#include "transport/ip_network.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "sys/route_socket.h"

namespace netserv::transport {
namespace {

constexpr std::size_t kMaxCachedRoutes = 65536;

// libmnl hands attributes one by one; those we want, by type.
template <std::size_t N>
int collect(const nlattr* attribute, void* data) {
  auto& found = *static_cast<std::array<const nlattr*, N>*>(data);
  if (mnl_attr_get_type(attribute) < N) found[mnl_attr_get_type(attribute)] = attribute;
  return MNL_CB_OK;
}

std::optional<IpAddress> address_in(const nlattr* attribute) {
  if (attribute == nullptr) return std::nullopt;
  const std::size_t n = mnl_attr_get_payload_len(attribute);
  if (n != 4 && n != 16) return std::nullopt;
  return IpAddress::from_bytes({static_cast<const std::byte*>(mnl_attr_get_payload(attribute)), n});
}
std::optional<std::uint32_t> number_in(const nlattr* attribute) {
  if (attribute == nullptr || mnl_attr_get_payload_len(attribute) < 4) return std::nullopt;
  return mnl_attr_get_u32(attribute);
}

using RouteAttributes = std::array<const nlattr*, RTA_MAX + 1>;
RouteAttributes route_attributes(const nlmsghdr& message) {
  RouteAttributes found{};
  mnl_attr_parse(&message, sizeof(rtmsg), collect<RTA_MAX + 1>, &found);
  return found;
}

void put_address(nlmsghdr* m, std::uint16_t type, const IpAddress& a) {
  mnl_attr_put(m, type, a.bytes().size(), a.bytes().data());
}

}  // namespace

Result<std::unique_ptr<IpNetwork>> IpNetwork::open(Options options) {
  std::unique_ptr<IpNetwork> network(new IpNetwork(options));
  NETSERV_ASSIGN(network->events_,
                 sys::open_route_socket(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
                                            RTMGRP_IPV6_ROUTE, sys::Blocking::kNo));
  NETSERV_ASSIGN(network->requests_, sys::open_route_socket(0, sys::Blocking::kYes));
  timeval patience{2, 0};
  ::setsockopt(network->requests_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  NETSERV_TRY(network->load());
  return network;
}

Status IpNetwork::load() {
  addresses_.clear();
  mtu_.clear();
  NETSERV_TRY(dump(RTM_GETLINK));
  return dump(RTM_GETADDR);
}

Status IpNetwork::dump(std::uint16_t type) {
  alignas(nlmsghdr) std::array<char, 128> room{};
  nlmsghdr* m = mnl_nlmsg_put_header(room.data());
  m->nlmsg_type = type;
  m->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  mnl_nlmsg_put_extra_header(m, std::max(sizeof(ifinfomsg), sizeof(ifaddrmsg)));
  if (::send(requests_.get(), m, m->nlmsg_len, 0) < 0) return fail_errno("rtnetlink", "send", errno);
  std::vector<char> buffer(32768);
  std::vector<Prefix> ignored;
  for (;;) {
    const ssize_t n = ::recv(requests_.get(), buffer.data(), buffer.size(), 0);
    if (n < 0) return fail_errno("rtnetlink", "dump", errno);
    int left = static_cast<int>(n);
    for (auto* h = reinterpret_cast<nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
      if (h->nlmsg_type == NLMSG_DONE) return {};
      if (h->nlmsg_type == NLMSG_ERROR) return fail(Origin::kSystem, "rtnetlink", "dump refused");
      note(*h, ignored);
    }
  }
}

void IpNetwork::note(const nlmsghdr& h, std::vector<Prefix>& changed) {
  if (h.nlmsg_type == RTM_NEWLINK) {
    const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(&h));
    std::array<const nlattr*, IFLA_MAX + 1> found{};
    mnl_attr_parse(&h, sizeof(ifinfomsg), collect<IFLA_MAX + 1>, &found);
    if (const auto mtu = number_in(found[IFLA_MTU]))
      mtu_[static_cast<std::uint32_t>(info->ifi_index)] = static_cast<std::uint16_t>(std::min(*mtu, 65535u));
  } else if (h.nlmsg_type == RTM_NEWADDR || h.nlmsg_type == RTM_DELADDR) {
    std::array<const nlattr*, IFA_MAX + 1> found{};
    mnl_attr_parse(&h, sizeof(ifaddrmsg), collect<IFA_MAX + 1>, &found);
    // On a point-to-point link IFA_ADDRESS is the other side's.
    const auto address = found[IFA_LOCAL] ? address_in(found[IFA_LOCAL]) : address_in(found[IFA_ADDRESS]);
    if (!address) return;
    if (h.nlmsg_type == RTM_NEWADDR) addresses_.insert(*address);
    if (h.nlmsg_type == RTM_DELADDR) addresses_.erase(*address);
  } else if (h.nlmsg_type == RTM_NEWROUTE || h.nlmsg_type == RTM_DELROUTE) {
    const auto* r = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(&h));
    if ((r->rtm_flags & RTM_F_CLONED) != 0 || r->rtm_table == RT_TABLE_LOCAL) return;
    if (r->rtm_family != AF_INET && r->rtm_family != AF_INET6) return;
    const IpAddress any = r->rtm_family == AF_INET ? IpAddress() : IpAddress::from_bytes(Bytes(16));
    changed.emplace_back(address_in(route_attributes(h)[RTA_DST]).value_or(any), r->rtm_dst_len);
  }
}

std::vector<Prefix> IpNetwork::changes() {
  std::vector<Prefix> changed;
  alignas(nlmsghdr) std::array<char, 32768> buffer;
  for (;;) {
    const ssize_t n = ::recv(events_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == ENOBUFS) {  // changes were lost: all may have changed
      (void)load();
      changed = {Prefix(IpAddress(), 0), Prefix(IpAddress::from_bytes(Bytes(16)), 0)};
      continue;
    }
    if (n <= 0) break;
    int left = static_cast<int>(n);
    for (auto* h = reinterpret_cast<nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left))
      note(*h, changed);
  }
  routes_.clear();
  oldest_.clear();
  return changed;
}

bool IpNetwork::is_local(const IpAddress& address) const {
  return address.is_loopback() || addresses_.contains(address);
}

std::optional<gist::Egress> IpNetwork::route(const IpAddress& destination, const IpAddress& source) const {
  // Only an address of our own may stand in a request as source; a forwarded flow is routed by its destination.
  const IpAddress from = is_local(source) && !source.is_unspecified() ? source : IpAddress();
  const auto key = std::make_pair(destination, from);
  if (const auto known = routes_.find(key); known != routes_.end()) return known->second;
  if (routes_.size() >= kMaxCachedRoutes) routes_.erase(oldest_.front()), oldest_.pop_front();
  oldest_.push_back(key);
  return routes_[key] = ask(destination, from);
}

std::optional<gist::Egress> IpNetwork::ask(const IpAddress& destination, const IpAddress& source) const {
  alignas(nlmsghdr) std::array<char, 256> room{};
  nlmsghdr* m = mnl_nlmsg_put_header(room.data());
  m->nlmsg_type = RTM_GETROUTE;
  m->nlmsg_flags = NLM_F_REQUEST;
  auto* r = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(m, sizeof(rtmsg)));
  r->rtm_family = destination.is_v4() ? AF_INET : AF_INET6;
  r->rtm_dst_len = static_cast<unsigned char>(destination.bits());
  put_address(m, RTA_DST, destination);
  if (!source.is_unspecified() && source.is_v4() == destination.is_v4()) {
    r->rtm_src_len = static_cast<unsigned char>(source.bits());
    put_address(m, RTA_SRC, source);
  }
  if (::send(requests_.get(), m, m->nlmsg_len, 0) < 0) return std::nullopt;
  alignas(nlmsghdr) std::array<char, 8192> buffer;
  const ssize_t n = ::recv(requests_.get(), buffer.data(), buffer.size(), 0);
  const auto* h = reinterpret_cast<const nlmsghdr*>(buffer.data());
  if (n < 0 || !mnl_nlmsg_ok(h, static_cast<int>(n)) || h->nlmsg_type != RTM_NEWROUTE) return std::nullopt;
  const auto* answer = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(h));
  if (answer->rtm_type != RTN_UNICAST && answer->rtm_type != RTN_LOCAL) return std::nullopt;
  const RouteAttributes found = route_attributes(*h);
  const auto interface = number_in(found[RTA_OIF]);
  const auto own = source.is_unspecified() ? address_in(found[RTA_PREFSRC]) : std::optional(source);
  if (!interface || !own) return std::nullopt;
  gist::Egress out;
  out.interface = *interface;
  out.address = *own;
  if (const auto mtu = mtu_.find(*interface); mtu != mtu_.end()) out.mtu = mtu->second;
  out.next_hop = address_in(found[RTA_GATEWAY]).value_or(destination);
  return out;
}

bool IpNetwork::ingress_allowed(const Prefix& source, std::uint32_t interface) const {
  if (!options_.ingress_check) return true;
  const auto back = route(source.address(), {});
  return back && back->interface == interface;
}

}  // namespace netserv::transport
