#include "plane/xdp/redirect_target.h"

#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string_view>

namespace netserv::plane {
namespace {

// Generic netlink's "netdev" family (linux/netdev.h), which Debian 12's headers lack.
constexpr char kFamily[] = "netdev";
constexpr std::uint8_t kDevGet = 1;
constexpr std::uint16_t kIfindex = 1, kXdpFeatures = 3;
constexpr std::uint64_t kTransmitsRedirected = 4;

using Socket = std::unique_ptr<mnl_socket, int (*)(mnl_socket*)>;
using OnAttribute = std::function<void(const nlattr*)>;

int attribute_of(const nlattr* attribute, void* function) {
  (*static_cast<const OnAttribute*>(function))(attribute);
  return MNL_CB_OK;
}
int message_of(const nlmsghdr* message, void* function) {
  return mnl_attr_parse(message, sizeof(genlmsghdr), attribute_of, function);
}

void for_each_nested(const nlattr* attribute, const OnAttribute& each) {
  mnl_attr_parse_nested(attribute, attribute_of, const_cast<OnAttribute*>(&each));
}

// One question of generic netlink, about one attribute; false if the kernel has no answer.
bool ask(const Socket& socket, std::uint16_t family, std::uint8_t command, std::uint16_t attribute, const void* value,
         std::size_t bytes, const OnAttribute& each) {
  alignas(nlmsghdr) std::array<char, 8192> buffer{};
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = family;
  request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  auto* header = static_cast<genlmsghdr*>(mnl_nlmsg_put_extra_header(request, sizeof(genlmsghdr)));
  header->cmd = command;
  header->version = 1;
  mnl_attr_put(request, attribute, bytes, value);
  if (mnl_socket_sendto(socket.get(), request, request->nlmsg_len) < 0) return false;
  for (;;) {
    ssize_t n = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (n <= 0) return false;
    int more = mnl_cb_run(buffer.data(), static_cast<std::size_t>(n), 0, 0, message_of, const_cast<OnAttribute*>(&each));
    if (more <= 0) return more == MNL_CB_STOP;
  }
}

struct Family {
  std::uint16_t id = 0;
  std::uint32_t management = 0;  // the multicast group that tells of changes
};
constexpr char kManagement[] = "mgmt";

Family find_family(const Socket& socket) {
  Family family;
  ask(socket, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, kFamily, sizeof kFamily, [&](const nlattr* a) {
    if (mnl_attr_get_type(a) == CTRL_ATTR_FAMILY_ID) family.id = mnl_attr_get_u16(a);
    if (mnl_attr_get_type(a) != CTRL_ATTR_MCAST_GROUPS) return;
    for_each_nested(a, [&](const nlattr* group) {
      std::string_view name;
      std::uint32_t id = 0;
      for_each_nested(group, [&](const nlattr* part) {
        if (mnl_attr_get_type(part) == CTRL_ATTR_MCAST_GRP_NAME) name = mnl_attr_get_str(part);
        if (mnl_attr_get_type(part) == CTRL_ATTR_MCAST_GRP_ID) id = mnl_attr_get_u32(part);
      });
      if (name == kManagement) family.management = id;
    });
  });
  return family;
}

Socket open_socket() {
  Socket socket(mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC), &mnl_socket_close);
  if (socket && mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) socket.reset();
  return socket;
}

}  // namespace

bool takes_redirects(unsigned ifindex) {
  Socket socket = open_socket();
  Family family = socket ? find_family(socket) : Family{};
  std::uint64_t features = 0;
  std::uint32_t index = ifindex;
  return family.id != 0 && ask(socket, family.id, kDevGet, kIfindex, &index, sizeof index, [&](const nlattr* a) {
           if (mnl_attr_get_type(a) == kXdpFeatures && mnl_attr_get_payload_len(a) == sizeof features)
             std::memcpy(&features, mnl_attr_get_payload(a), sizeof features);
         }) && (features & kTransmitsRedirected) != 0;
}

std::unique_ptr<RedirectWatch> RedirectWatch::open() {
  Socket socket = open_socket();
  Family family = socket ? find_family(socket) : Family{};
  int group = static_cast<int>(family.management);
  if (group == 0 || mnl_socket_setsockopt(socket.get(), NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0) return nullptr;
  return std::unique_ptr<RedirectWatch>(new RedirectWatch(socket.release()));
}

RedirectWatch::~RedirectWatch() { mnl_socket_close(socket_); }

bool RedirectWatch::anything() {
  bool any = false;
  alignas(nlmsghdr) std::array<char, 8192> buffer;
  for (;;) {
    ssize_t n = ::recv(mnl_socket_get_fd(socket_), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n < 0 && errno != ENOBUFS) return any;  // some news lost are news
    any = true;
  }
}

}  // namespace netserv::plane
