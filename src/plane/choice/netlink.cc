#include "plane/choice/netlink.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <memory>
#include <span>

#include "plane/netlink_attributes.h"

namespace netserv::plane {
namespace {

using OnMessage = std::function<void(const nlmsghdr*)>;

int call(const nlmsghdr* message, void* function) {
  (*static_cast<const OnMessage*>(function))(message);
  return MNL_CB_OK;
}

template <class Header>
std::span<const char> as_chars(const Header& header) {
  return {reinterpret_cast<const char*>(&header), sizeof header};
}

// Sends a request with NLM_F_DUMP or NLM_F_ACK, and calls `each` for every message of the answer; returns errno, or 0.
int exchange(int bus, std::uint16_t type, unsigned flag, std::span<const char> extra, const OnMessage& each) {
  std::unique_ptr<mnl_socket, int (*)(mnl_socket*)> socket(mnl_socket_open(bus), &mnl_socket_close);
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) return errno;
  alignas(nlmsghdr) std::array<char, 32768> buffer{};
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = type;
  request->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flag);
  request->nlmsg_seq = 1;
  std::copy(extra.begin(), extra.end(), static_cast<char*>(mnl_nlmsg_put_extra_header(request, extra.size())));
  if (mnl_socket_sendto(socket.get(), request, request->nlmsg_len) < 0) return errno;
  for (;;) {
    ssize_t n = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (n < 0) return errno;
    int more = mnl_cb_run(buffer.data(), static_cast<std::size_t>(n), 1, mnl_socket_get_portid(socket.get()), call,
                          const_cast<OnMessage*>(&each));
    if (more < 0) return errno;
    if (more == MNL_CB_STOP) return 0;
  }
}

// Again if the table changed meanwhile; `out` gets what `add` makes of each message.
template <class Out, class Header>
int dump(int bus, std::uint16_t type, const Header& header, Out& out, void (*add)(const nlmsghdr*, Out&)) {
  int error = EINTR;
  for (int tries = 0; tries < 5 && error == EINTR; ++tries) {
    out = {};
    error = exchange(bus, type, NLM_F_DUMP, as_chars(header), [&](const nlmsghdr* message) {
      if (mnl_nlmsg_get_payload_len(message) >= sizeof header) add(message, out);
    });
  }
  return error;
}

std::string text_of(const nlattr* attribute) {
  if (attribute == nullptr || mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) < 0) return {};
  return mnl_attr_get_str(attribute);
}
unsigned number_of(const nlattr* attribute, unsigned otherwise) {
  return attribute == nullptr || mnl_attr_get_payload_len(attribute) < 4 ? otherwise : ntohl(mnl_attr_get_u32(attribute));
}

void add_qdisc(const nlmsghdr* message, std::multimap<unsigned, std::string>& out) {
  const auto& about = *static_cast<const tcmsg*>(mnl_nlmsg_get_payload(message));
  // One below the root belongs to the root's.
  if (about.tcm_parent != TC_H_ROOT && about.tcm_parent != TC_H_INGRESS) return;
  const auto found = attributes_of<TCA_MAX>(message, sizeof(tcmsg));
  out.emplace(static_cast<unsigned>(about.tcm_ifindex), text_of(found[TCA_KIND]));
}

void add_chain(const nlmsghdr* message, std::vector<NftChain>& out) {
  const auto found = attributes_of<NFTA_CHAIN_MAX>(message, sizeof(nfgenmsg));
  if (found[NFTA_CHAIN_HOOK] == nullptr) return;
  const auto hook = attributes_within<NFTA_HOOK_MAX>(found[NFTA_CHAIN_HOOK]);
  NftChain chain;
  chain.family = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(message))->nfgen_family;
  chain.table = text_of(found[NFTA_CHAIN_TABLE]);
  chain.name = text_of(found[NFTA_CHAIN_NAME]);
  chain.device = text_of(hook[NFTA_HOOK_DEV]);
  chain.hook = number_of(hook[NFTA_HOOK_HOOKNUM], 0);
  chain.accepts = number_of(found[NFTA_CHAIN_POLICY], NF_ACCEPT) == NF_ACCEPT;
  chain.rules = number_of(found[NFTA_CHAIN_USE], 0);
  out.push_back(std::move(chain));
}

void add_policy(const nlmsghdr* message, IpsecPolicies& out) {
  if (mnl_nlmsg_get_payload_len(message) < sizeof(xfrm_userpolicy_info)) return;
  const auto& policy = *static_cast<const xfrm_userpolicy_info*>(mnl_nlmsg_get_payload(message));
  out.count += policy.dir == XFRM_POLICY_OUT || policy.dir == XFRM_POLICY_FWD;
}

}  // namespace

Result<std::multimap<unsigned, std::string>> dump_qdiscs() {
  std::multimap<unsigned, std::string> out;
  tcmsg all{};
  all.tcm_family = AF_UNSPEC;
  if (int error = dump(NETLINK_ROUTE, RTM_GETQDISC, all, out, add_qdisc)) return fail_errno("qdiscs", "asking for them", error);
  return out;
}

Result<std::vector<NftChain>> dump_nft_chains() {
  constexpr auto kType = static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN);
  std::vector<NftChain> out;
  nfgenmsg all{};
  all.nfgen_family = NFPROTO_UNSPEC;
  all.version = NFNETLINK_V0;
  int error = dump(NETLINK_NETFILTER, kType, all, out, add_chain);
  // How the kernel says that it has none.
  if (error == EINVAL || error == EOPNOTSUPP || error == EPROTONOSUPPORT) return std::vector<NftChain>{};
  if (error != 0) return fail_errno("nftables", "asking for its chains", error);
  return out;
}

Result<IpsecPolicies> dump_ipsec_policies() {
  IpsecPolicies out;
  int error = dump(NETLINK_XFRM, XFRM_MSG_GETPOLICY, xfrm_userpolicy_id{}, out, add_policy);
  if (error == EPROTONOSUPPORT) return IpsecPolicies{};
  auto add_default = [&](const nlmsghdr* message) {
    if (mnl_nlmsg_get_payload_len(message) < sizeof(xfrm_userpolicy_default)) return;
    const auto& other = *static_cast<const xfrm_userpolicy_default*>(mnl_nlmsg_get_payload(message));
    out.blocks_others = other.fwd == XFRM_USERPOLICY_BLOCK || other.out == XFRM_USERPOLICY_BLOCK;
  };
  const xfrm_userpolicy_default any{};
  if (error == 0) {
    error = exchange(NETLINK_XFRM, XFRM_MSG_GETDEFAULT, NLM_F_ACK, as_chars(any), add_default);
    if (error == EINVAL) error = 0;  // a kernel before 5.14 has no such default
  }
  if (error != 0) return fail_errno("IPsec", "asking for its policies", error);
  return out;
}

}  // namespace netserv::plane
