#include "plane/xdp/neighbours.h"

#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "plane/netlink_attributes.h"
#include "sys/route_socket.h"

namespace netserv::plane {
namespace {

constexpr std::size_t kMostToTell = 16;  // a step
constexpr std::uint32_t kQuestion = 1;    // number of the messages that answer it; others tell of neighbours that have gone meanwhile
constexpr std::uint32_t kMac = 6;

std::size_t address_bytes(std::uint8_t family) { return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0; }

}  // namespace

Result<Neighbours> Neighbours::open() {
  NETSERV_ASSIGN(sys::UniqueFd fd, sys::open_route_socket(0, sys::Blocking::kNo));
  return Neighbours(std::move(fd));
}

void Neighbours::keep(std::span<std::uint8_t, 256> used, const std::set<unsigned>& interfaces, TimePoint now) {
  if (!stale_.empty()) return tell();
  if (asking_) return read(interfaces);
  if (now < next_) return;
  next_ = now + kEvery;
  std::ranges::copy(used, used_.begin());
  if (std::ranges::none_of(used_, [](std::uint8_t u) { return u != 0; })) return;
  std::ranges::fill(used, std::uint8_t{0});
  asking_ = ask();
}

bool Neighbours::ask() {
  while (::recv(fd_.get(), buffer_.data(), buffer_.size(), 0) > 0) {  // what the last round left
  }
  nlmsghdr* m = mnl_nlmsg_put_header(buffer_.data());
  m->nlmsg_type = RTM_GETNEIGH;
  m->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  m->nlmsg_seq = kQuestion;
  mnl_nlmsg_put_extra_header(m, sizeof(ndmsg));
  return ::send(fd_.get(), m, m->nlmsg_len, 0) == static_cast<ssize_t>(m->nlmsg_len);
}

// A datagram: some hundred neighbours.
void Neighbours::read(const std::set<unsigned>& interfaces) {
  const ssize_t n = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
  if (n < 0 && errno == EAGAIN) return;
  asking_ = n > 0;
  int left = static_cast<int>(n);
  for (auto* m = reinterpret_cast<nlmsghdr*>(buffer_.data()); asking_ && mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
    if (m->nlmsg_seq != kQuestion) continue;
    asking_ = m->nlmsg_type != NLMSG_DONE && m->nlmsg_type != NLMSG_ERROR;
    if (m->nlmsg_type == RTM_NEWNEIGH) look_at(m, interfaces);
  }
}

void Neighbours::look_at(const void* message, const std::set<unsigned>& interfaces) {
  const auto* m = static_cast<const nlmsghdr*>(message);
  if (mnl_nlmsg_get_payload_len(m) < sizeof(ndmsg)) return;
  const auto* header = static_cast<const ndmsg*>(mnl_nlmsg_get_payload(m));
  const std::size_t bytes = address_bytes(header->ndm_family);
  if (bytes == 0 || header->ndm_state != NUD_STALE ||
      !interfaces.contains(static_cast<unsigned>(header->ndm_ifindex)))
    return;
  // Flags that are not named again are taken away.
  Neighbour neighbour{header->ndm_family, header->ndm_ifindex, static_cast<std::uint8_t>(header->ndm_flags & NTF_EXT_LEARNED), {}};
  const auto found = attributes_of<NDA_MAX>(m, sizeof(ndmsg));
  if (found[NDA_FLAGS_EXT] != nullptr) return;  // the kernel, or who set it, looks after it
  if (!has_bytes(found[NDA_DST], bytes) || !has_bytes(found[NDA_LLADDR], kMac) || payload_bytes(found[NDA_LLADDR]) != kMac) return;
  if (used_[static_cast<std::uint8_t>(payload(found[NDA_LLADDR])[kMac - 1])] == 0) return;
  std::memcpy(neighbour.address.data(), payload(found[NDA_DST]), bytes);
  stale_.push_back(neighbour);
}

void Neighbours::tell() {
  for (std::size_t i = 0; i < kMostToTell && !stale_.empty(); ++i, stale_.pop_back()) {
    const Neighbour& neighbour = stale_.back();
    nlmsghdr* m = mnl_nlmsg_put_header(buffer_.data());
    m->nlmsg_type = RTM_NEWNEIGH;
    m->nlmsg_flags = NLM_F_REQUEST;
    auto* header = static_cast<ndmsg*>(mnl_nlmsg_put_extra_header(m, sizeof(ndmsg)));
    header->ndm_family = neighbour.family;
    header->ndm_ifindex = neighbour.ifindex;
    header->ndm_state = NUD_STALE;
    header->ndm_flags = static_cast<std::uint8_t>(neighbour.flags | NTF_USE);
    mnl_attr_put(m, NDA_DST, address_bytes(neighbour.family), neighbour.address.data());
    (void)!::send(fd_.get(), m, m->nlmsg_len, 0);
  }
}

}  // namespace netserv::plane
