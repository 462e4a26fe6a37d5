#include "plane/netfilter/nflog.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "netserv/abi.h"
#include "plane/netfilter/netlink.h"

namespace netserv::plane {
namespace {

constexpr std::uint32_t kGatherBytes = 64 * 1024;
constexpr std::uint32_t kGatherHundredths = 1;  // of a second

// As the IP header has it; the bytes may have been cut.
std::uint32_t ip_length(const std::byte* l3, std::uint32_t there) {
  if (there < 20) return there;
  bool v6 = std::to_integer<unsigned>(l3[0]) >> 4 == 6;
  std::size_t at = v6 ? 4 : 2;
  return (std::to_integer<std::uint32_t>(l3[at]) << 8 | std::to_integer<std::uint32_t>(l3[at + 1])) + (v6 ? 40 : 0);
}

std::uint32_t sampled_one_in(const nlattr* prefix) {
  std::uint32_t n = 1;
  if (prefix == nullptr) return n;
  const char* text = payload(prefix);
  std::from_chars(text, text + ::strnlen(text, payload_bytes(prefix)), n);
  return n == 0 ? 1 : n;
}

}  // namespace

Result<std::unique_ptr<NfLog>> NfLog::open(std::uint16_t number, std::uint32_t gather) {
  std::unique_ptr<NfLog> log(new NfLog);
  NETSERV_ASSIGN(log->socket_, open_netfilter_socket("nflog"));
  log->gather_ = gather;
  NETSERV_TRY(log->configure(number));
  return log;
}

Status NfLog::configure(std::uint16_t number) {
  int fd = socket_.get();
  alignas(nlmsghdr) std::array<char, 512> room;
  auto message = [&] {
    return start_netfilter_message(room.data(), NFNL_SUBSYS_ULOG, NFULNL_MSG_CONFIG, number, NLM_F_ACK);
  };
  nlmsghdr* m = message();
  nfulnl_msg_config_cmd bind_command{NFULNL_CFG_CMD_BIND};
  mnl_attr_put(m, NFULA_CFG_CMD, sizeof bind_command, &bind_command);
  NETSERV_TRY(ask_netfilter(fd, m, "nflog", ("bind group " + std::to_string(number)).c_str()));

  m = message();
  nfulnl_msg_config_mode mode{};
  mode.copy_range = htonl(NETSERV_SLOT_BYTES);
  mode.copy_mode = NFULNL_COPY_PACKET;
  mnl_attr_put(m, NFULA_CFG_MODE, sizeof mode, &mode);
  mnl_attr_put_u32(m, NFULA_CFG_NLBUFSIZ, htonl(kGatherBytes));
  mnl_attr_put_u32(m, NFULA_CFG_QTHRESH, htonl(gather_));
  mnl_attr_put_u32(m, NFULA_CFG_TIMEOUT, htonl(kGatherHundredths));
  mnl_attr_put_u16(m, NFULA_CFG_FLAGS, htons(NFULNL_CFG_F_SEQ));
  NETSERV_TRY(ask_netfilter(fd, m, "nflog", "configure"));
  ignore_overruns(fd);
  return {};
}

std::size_t NfLog::take(std::size_t most, const LivePlane::TakeCopies& take, TimePoint now) {
  const std::uint64_t before = counters_.copies;
  while (counters_.copies - before + gather_ <= most) {  // a message has up to gather_
    ssize_t n = ::recv(socket_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (n <= 0) break;
    int left = static_cast<int>(n);
    for (auto* m = reinterpret_cast<nlmsghdr*>(buffer_.data()); mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
      if (m->nlmsg_type == (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET)) read_copy(m, take, now);
    }
    hand_over(take);  // they lie in the buffer
  }
  return counters_.copies - before;
}

void NfLog::read_copy(const void* at, const LivePlane::TakeCopies& take, TimePoint now) {
  const auto found = attributes_of<NFULA_MAX>(static_cast<const nlmsghdr*>(at));
  if (found[NFULA_PAYLOAD] == nullptr) {
    ++counters_.malformed;
    return;
  }
  if (has_bytes(found[NFULA_SEQ], 4)) {
    std::uint32_t number = ntohl(value_of<std::uint32_t>(found[NFULA_SEQ]));
    counters_.lost += number - next_number_;
    next_number_ = number + 1;
  }
  ++counters_.copies;
  std::uint32_t sampled = sampled_one_in(found[NFULA_PREFIX]);
  if (sampled != sampled_ || packets_.size() == kBatch) hand_over(take);
  sampled_ = sampled;

  forward::Packet& packet = packets_.emplace_back();
  packet.data = buffer_.data() + (payload(found[NFULA_PAYLOAD]) - reinterpret_cast<const char*>(buffer_.data()));
  packet.length = packet.capacity = static_cast<std::uint32_t>(payload_bytes(found[NFULA_PAYLOAD]));
  packet.original_length = ip_length(packet.data, packet.length);
  if (has_bytes(found[NFULA_IFINDEX_INDEV], 4))
    packet.ingress = static_cast<std::uint16_t>(ntohl(value_of<std::uint32_t>(found[NFULA_IFINDEX_INDEV])));
  packet.received_ns = static_cast<std::uint64_t>(now.time_since_epoch().count());
}

void NfLog::hand_over(const LivePlane::TakeCopies& take) {
  if (!packets_.empty()) take(packets_, sampled_);
  packets_.clear();
}

}  // namespace netserv::plane
