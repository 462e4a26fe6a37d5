#include "plane/netfilter/nfqueue.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "netserv/abi.h"
#include "plane/netfilter/netlink.h"
#include "plane/netfilter/queue_watchdog.h"
#include "wire/ip/packet.h"

namespace netserv::plane {
namespace {

// One byte more than a slot holds: a longer packet is only looked at.
constexpr std::uint32_t kCopyRange = NETSERV_SLOT_BYTES + 1;
constexpr std::uint16_t kPacketMessage = NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET;
constexpr std::uint32_t kQueueLength = 8192;
constexpr std::chrono::microseconds kAwait{1000};  // rounded up to the kernel's ticks
constexpr Duration kStopped = std::chrono::milliseconds(500);  // without a sign of life

nlmsghdr* start_message(void* at, std::uint8_t type, std::uint16_t queue, std::uint16_t flags) {
  return start_netfilter_message(at, NFNL_SUBSYS_QUEUE, type, queue, flags);
}

std::uint16_t vlan_of(const nlattr* nested) {
  if (nested == nullptr) return NETSERV_NO_VLAN;
  const auto found = attributes_within<NFQA_VLAN_MAX>(nested);
  if (!has_bytes(found[NFQA_VLAN_TCI], 2)) return NETSERV_NO_VLAN;
  return ntohs(value_of<std::uint16_t>(found[NFQA_VLAN_TCI])) & 0x0fff;
}

}  // namespace

NfQueue::NfQueue(std::uint16_t number, QueueFails fails, std::uint64_t first_cookie)
    : number_(number), fails_(fails), first_cookie_(first_cookie), memory_(new std::byte[kBuffers * kBufferBytes]),
      buffers_(kBuffers), headers_(kBatch), vectors_(kBatch), arrivals_(kArrivals), messages_(new std::byte[kMessageBytes]) {
  for (std::size_t i = kBuffers; i > 0; --i) free_.push_back(static_cast<std::uint32_t>(i - 1));
  for (std::size_t i = 0; i < kBatch; ++i) {
    headers_[i].msg_hdr.msg_iov = &vectors_[i];
    headers_[i].msg_hdr.msg_iovlen = 1;
  }
  received_.reserve(kBatch);
  accepted_.reserve(kBuffers);
}

NfQueue::~NfQueue() = default;

Result<std::unique_ptr<NfQueue>> NfQueue::open(std::uint16_t number, QueueFails fails, std::uint64_t first_cookie) {
  std::unique_ptr<NfQueue> queue(new NfQueue(number, fails, first_cookie));
  NETSERV_ASSIGN(queue->socket_, open_netfilter_socket("nfqueue"));
  NETSERV_TRY(queue->configure());
  if (fails == QueueFails::kOpen) {
    NETSERV_ASSIGN(queue->watchdog_, QueueWatchdog::start(queue->socket_.get(), number, kStopped));
  }
  return queue;
}

Status NfQueue::configure() {
  int fd = socket_.get();
  alignas(nlmsghdr) std::array<char, 512> room;
  nlmsghdr* m = start_message(room.data(), NFQNL_MSG_CONFIG, number_, NLM_F_ACK);
  nfqnl_msg_config_cmd bind_command{NFQNL_CFG_CMD_BIND, 0, 0};
  mnl_attr_put(m, NFQA_CFG_CMD, sizeof bind_command, &bind_command);
  NETSERV_TRY(ask_netfilter(fd, m, "nfqueue", ("bind queue " + std::to_string(number_)).c_str()));

  m = start_message(room.data(), NFQNL_MSG_CONFIG, number_, NLM_F_ACK);
  nfqnl_msg_config_params parameters{};
  parameters.copy_range = htonl(kCopyRange);
  parameters.copy_mode = NFQNL_COPY_PACKET;
  mnl_attr_put(m, NFQA_CFG_PARAMS, sizeof parameters, &parameters);
  // No NFQA_CFG_F_GSO: the kernel cuts aggregates and makes checksums before it gives us packets.
  mnl_attr_put_u32(m, NFQA_CFG_FLAGS, htonl(fails_ == QueueFails::kOpen ? NFQA_CFG_F_FAIL_OPEN : 0));
  mnl_attr_put_u32(m, NFQA_CFG_MASK, htonl(NFQA_CFG_F_FAIL_OPEN | NFQA_CFG_F_GSO));
  mnl_attr_put_u32(m, NFQA_CFG_QUEUE_MAXLEN, htonl(kQueueLength));
  NETSERV_TRY(ask_netfilter(fd, m, "nfqueue", "configure"));
  ignore_overruns(fd);  // gaps in the packets' numbers tell of them
  timeval patience{0, kAwait.count()};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return {};
}

// Messages into free buffers, named by reading_; gives their number.
int NfQueue::read(int flags) {
  const std::size_t room = std::min(kBatch, free_.size());
  for (std::size_t i = 0; i < room; ++i) {
    reading_[i] = free_[free_.size() - 1 - i];
    vectors_[i] = {buffer(reading_[i]), kBufferBytes};
  }
  const int n = std::max(0, ::recvmmsg(socket_.get(), headers_.data(), static_cast<unsigned>(room), flags, nullptr));
  free_.resize(free_.size() - static_cast<std::size_t>(n));
  return n;
}

// A blocked reader is woken once; whoever polls is called for every packet.
bool NfQueue::await() {
  if (awaited_ == 0) awaited_ = read(MSG_WAITFORONE);
  return awaited_ > 0;
}

std::span<const forward::Packet> NfQueue::receive(TimePoint now) {
  received_.clear();
  alive(now);
  const int n = awaited_ > 0 ? std::exchange(awaited_, 0) : read(MSG_DONTWAIT);
  for (int i = 0; i < n; ++i)
    if (!decode(reading_[i], headers_[i].msg_len, now)) free_.push_back(reading_[i]);
  return received_;
}

bool NfQueue::decode(std::size_t number, std::size_t bytes, TimePoint now) {
  auto* message = reinterpret_cast<nlmsghdr*>(buffer(number));
  if (!mnl_nlmsg_ok(message, static_cast<int>(bytes))) return ++counters_.malformed, false;
  if (message->nlmsg_type == NLMSG_ERROR) return ++counters_.verdict_errors, false;
  if (message->nlmsg_type != kPacketMessage) return ++counters_.malformed, false;
  const auto found = attributes_of<NFQA_MAX>(message);
  if (!has_bytes(found[NFQA_PACKET_HDR], sizeof(nfqnl_msg_packet_hdr))) return ++counters_.malformed, false;

  Buffer& b = buffers_[number];
  b.id = ntohl(value_of<nfqnl_msg_packet_hdr>(found[NFQA_PACKET_HDR]).packet_id);
  if (const auto ahead = static_cast<std::int32_t>(b.id - last_id_); ahead > 0) {
    counters_.unseen += static_cast<std::uint32_t>(ahead) - 1;
    last_id_ = b.id;
  }
  b.position = kNoPosition;
  if (tail_ - head_ < kArrivals) {
    b.position = tail_++;
    arrivals_[b.position % kArrivals] = {b.id, Order::kWaiting};
  }

  forward::Packet packet;
  packet.cookie = first_cookie_ + number;
  packet.data = buffer(number);
  if (const nlattr* data = found[NFQA_PAYLOAD]) {
    packet.data = buffer(number) + (payload(data) - reinterpret_cast<const char*>(message));
    packet.length = static_cast<std::uint32_t>(payload_bytes(data));
  }
  packet.capacity = static_cast<std::uint32_t>(buffer(number) + kBufferBytes - packet.data);
  packet.original_length = packet.length;
  if (has_bytes(found[NFQA_CAP_LEN], 4)) packet.original_length = ntohl(value_of<std::uint32_t>(found[NFQA_CAP_LEN]));
  if (has_bytes(found[NFQA_IFINDEX_INDEV], 4))
    packet.ingress = static_cast<std::uint16_t>(ntohl(value_of<std::uint32_t>(found[NFQA_IFINDEX_INDEV])));
  packet.vlan = vlan_of(found[NFQA_VLAN]);
  packet.received_ns = static_cast<std::uint64_t>(now.time_since_epoch().count());
  // A sender's device was to make the checksum, and has not yet: modules shall see a right one.
  if (has_bytes(found[NFQA_SKB_INFO], 4) && packet.length == packet.original_length &&
      (ntohl(value_of<std::uint32_t>(found[NFQA_SKB_INFO])) & NFQA_SKB_CSUMNOTREADY) != 0)
    fix_checksums({packet.data, packet.length});
  received_.push_back(packet);
  return true;
}

void NfQueue::done(std::uint64_t cookie, Order state) {
  if (std::uint64_t at = buffer_of(cookie).position; at != kNoPosition) arrivals_[at % kArrivals].state = state;
  free(cookie);
}

bool NfQueue::is_ours(std::uint64_t cookie) const { return buffers_[cookie - first_cookie_].position != kFreed; }

void NfQueue::accept(std::uint64_t cookie) {
  const Buffer& b = buffer_of(cookie);
  if (b.position == kFreed) return free(cookie);
  if (b.position == kNoPosition) verdict(b.id, NF_ACCEPT, false, {});
  else accepted_.push_back(b.position);
  done(cookie, Order::kAccepted);
}

void NfQueue::accept_changed(std::uint64_t cookie, ByteSpan bytes) {
  if (!is_ours(cookie)) return free(cookie);
  verdict(buffer_of(cookie).id, NF_ACCEPT, false, bytes);
  done(cookie, Order::kDone);
}

void NfQueue::drop(std::uint64_t cookie) {
  if (!is_ours(cookie)) return free(cookie);
  verdict(buffer_of(cookie).id, NF_DROP, false, {});
  done(cookie, Order::kDone);
}

void NfQueue::alive(TimePoint now) {
  if (!watchdog_) return;
  watchdog_->beat(now);
  if (watchdog_->fired()) take_back();
}

// All that was queued has passed: what lies in the socket, and what we hold, is not ours any more.
void NfQueue::take_back() {
  ++counters_.freed;
  accepted_.clear();
  message_bytes_ = 0;
  for (int n = std::exchange(awaited_, 0); n > 0; n = read(MSG_DONTWAIT)) {
    for (std::uint32_t number : std::span(reading_).first(static_cast<std::size_t>(n))) {
      free_.push_back(number);
      if (reinterpret_cast<const nlmsghdr*>(buffer(number))->nlmsg_type != kPacketMessage) continue;
      ++counters_.freed_unseen;
      ++last_id_;  // those missing between them are found by the next one's number
    }
  }
  for (Buffer& b : buffers_) b.position = kFreed;
  head_ = tail_;
  set_queue_length(socket_.get(), number_, kQueueLength);
  watchdog_->rearm();
}

void NfQueue::flush() {
  std::uint32_t run_id = 0;
  std::size_t run = 0;
  for (; head_ < tail_ && arrivals_[head_ % kArrivals].state != Order::kWaiting; ++head_) {
    Arrival& a = arrivals_[head_ % kArrivals];
    if (a.state != Order::kAccepted) continue;
    a.state = Order::kDone;
    run_id = a.id;
    ++run;
  }
  if (run > 0) verdict(run_id, NF_ACCEPT, run > 1, {});
  for (std::uint64_t position : accepted_) {
    Arrival& a = arrivals_[position % kArrivals];
    if (position < head_ || a.state != Order::kAccepted) continue;
    a.state = Order::kDone;
    verdict(a.id, NF_ACCEPT, false, {});
  }
  accepted_.clear();
  send_messages();
}

void NfQueue::verdict(std::uint32_t id, std::uint32_t verdict, bool batch, ByteSpan payload) {
  std::size_t needed = NLMSG_ALIGN(sizeof(nlmsghdr)) + NLMSG_ALIGN(sizeof(nfgenmsg)) +
                       NLA_HDRLEN + sizeof(nfqnl_msg_verdict_hdr) + NLA_HDRLEN + NLA_ALIGN(payload.size());
  if (message_bytes_ + needed > kMessageBytes) send_messages();
  nlmsghdr* m = start_message(messages_.get() + message_bytes_, batch ? NFQNL_MSG_VERDICT_BATCH : NFQNL_MSG_VERDICT,
                              number_, 0);
  nfqnl_msg_verdict_hdr header{htonl(verdict), htonl(id)};
  mnl_attr_put(m, NFQA_VERDICT_HDR, sizeof header, &header);
  if (!payload.empty()) mnl_attr_put(m, NFQA_PAYLOAD, payload.size(), payload.data());
  message_bytes_ += NLMSG_ALIGN(m->nlmsg_len);
  ++(batch ? counters_.batch_verdicts : counters_.single_verdicts);
}

void NfQueue::send_messages() {
  if (message_bytes_ == 0) return;
  while (::send(socket_.get(), messages_.get(), message_bytes_, 0) < 0) {
    if (errno == EINTR) continue;
    ++counters_.verdict_errors;
    break;
  }
  message_bytes_ = 0;
}

QueueState queue_state(std::uint16_t wanted) {
  // number, port id, waiting, copy mode, copy range, dropped by the queue, dropped on the way to us, last id
  std::ifstream table("/proc/net/netfilter/nfnetlink_queue");
  std::uint64_t number, port, waiting, mode, range, queue_dropped, user_dropped, id, one;
  while (table >> number >> port >> waiting >> mode >> range >> queue_dropped >> user_dropped >> id >> one)
    if (number == wanted) return {queue_dropped, user_dropped, static_cast<std::uint32_t>(id)};
  return {};
}

void set_queue_length(int socket, std::uint16_t number, std::uint32_t packets) {
  alignas(nlmsghdr) std::array<char, 256> room;
  nlmsghdr* m = start_message(room.data(), NFQNL_MSG_CONFIG, number, 0);
  mnl_attr_put_u32(m, NFQA_CFG_QUEUE_MAXLEN, htonl(packets));
  (void)!::send(socket, m, m->nlmsg_len, 0);
}

}  // namespace netserv::plane
