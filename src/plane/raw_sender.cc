#include "plane/raw_sender.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace netserv::plane {
namespace {

Result<sys::UniqueFd> raw_socket(int family, std::uint32_t mark) {
  // IPPROTO_RAW implies that the header comes with the packet, for both versions.
  sys::UniqueFd fd(::socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW));
  if (!fd) return fail_errno("raw socket", "socket", errno);
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0)
    return fail_errno("raw socket", "SO_MARK", errno);
  int bytes = 4 << 20;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
  return fd;
}

sockaddr_storage destination(const std::byte* packet, bool v4) {
  sockaddr_storage out{};
  if (v4) {
    auto& a = reinterpret_cast<sockaddr_in&>(out);
    a.sin_family = AF_INET;
    std::memcpy(&a.sin_addr, packet + 16, 4);
  } else {
    auto& a = reinterpret_cast<sockaddr_in6&>(out);
    a.sin6_family = AF_INET6;
    std::memcpy(&a.sin6_addr, packet + 24, 16);
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<RawSender>> RawSender::create(std::uint32_t mark) {
  auto sender = std::make_unique<RawSender>();
  NETSERV_ASSIGN(sender->v4_, raw_socket(AF_INET, mark));
  auto v6 = raw_socket(AF_INET6, mark);
  if (v6) sender->v6_ = *std::move(v6);
  return sender;
}

bool RawSender::send(ByteSpan packet) {
  if (packet.size() < 20 || packet.size() > NETSERV_SLOT_BYTES) return false;
  unsigned version = std::to_integer<unsigned>(packet[0]) >> 4;
  bool v4 = version == 4;
  if (!v4 && (version != 6 || packet.size() < 40 || !v6_)) return false;
  Batch& batch = v4 ? batch4_ : batch6_;
  if (batch.count == kBatch) flush(v4 ? v4_.get() : v6_.get(), batch, v4);
  std::ranges::copy(packet, batch.packets[batch.count].begin());
  batch.lengths[batch.count++] = static_cast<std::uint32_t>(packet.size());
  return true;
}

void RawSender::flush() {
  if (batch4_.count > 0) flush(v4_.get(), batch4_, true);
  if (batch6_.count > 0) flush(v6_.get(), batch6_, false);
}

void RawSender::flush(int fd, Batch& batch, bool v4) {
  std::array<mmsghdr, kBatch> messages{};
  std::array<iovec, kBatch> vectors;
  std::array<sockaddr_storage, kBatch> addresses;
  for (std::size_t i = 0; i < batch.count; ++i) {
    addresses[i] = destination(batch.packets[i].data(), v4);
    vectors[i] = {batch.packets[i].data(), batch.lengths[i]};
    msghdr& m = messages[i].msg_hdr;
    m.msg_name = &addresses[i];
    m.msg_namelen = v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    m.msg_iov = &vectors[i];
    m.msg_iovlen = 1;
  }
  for (std::size_t at = 0; at < batch.count;) {
    int n = ::sendmmsg(fd, messages.data() + at, static_cast<unsigned>(batch.count - at), MSG_DONTWAIT);
    if (n > 0) {
      at += static_cast<std::size_t>(n);
      sent_ += static_cast<std::uint64_t>(n);
    } else if (errno != EINTR) {  // the first of the rest can't be sent: leave it out
      ++failed_;
      ++at;
    }
  }
  batch.count = 0;
}

}  // namespace netserv::plane
