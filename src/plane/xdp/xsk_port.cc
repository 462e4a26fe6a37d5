#include "plane/xdp/xsk_port.h"

#include <linux/if_link.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#endif
#ifndef SO_BUSY_POLL_BUDGET
#define SO_BUSY_POLL_BUDGET 70
#endif

namespace netserv::plane {

Result<std::unique_ptr<XskPort>> XskPort::open(Umem& umem, const std::string& interface, std::uint32_t queue,
                                               const Options& options) {
  std::unique_ptr<XskPort> port(new XskPort(umem, interface));
  xsk_socket_config config{};
  config.rx_size = options.ring_size;
  config.tx_size = options.ring_size;
  config.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD;
  config.bind_flags = static_cast<__u16>(XDP_USE_NEED_WAKEUP | (options.zero_copy ? XDP_ZEROCOPY : XDP_COPY));
  int error = xsk_socket__create_shared(&port->socket_, interface.c_str(), queue, umem.handle(), &port->receive_,
                                        &port->transmit_, &port->fill_, &port->completion_, &config);
  if (error != 0)
    return fail_errno(interface + " queue " + std::to_string(queue), "opening its AF_XDP socket", -error);

  std::uint32_t budget = options.transmit_budget;
  ::setsockopt(port->fd(), SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof budget);
  int bytes = 16 << 20;  // the default holds some 200 frames on their way
  ::setsockopt(port->fd(), SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
  if (options.busy_poll) {
    int on = 1, microseconds = 20, packets = 256;
    ::setsockopt(port->fd(), SOL_SOCKET, SO_PREFER_BUSY_POLL, &on, sizeof on);
    ::setsockopt(port->fd(), SOL_SOCKET, SO_BUSY_POLL, &microseconds, sizeof microseconds);
    ::setsockopt(port->fd(), SOL_SOCKET, SO_BUSY_POLL_BUDGET, &packets, sizeof packets);
  }
  port->busy_poll_ = options.busy_poll;
  return port;
}

XskPort::~XskPort() {
  if (socket_ != nullptr) xsk_socket__delete(socket_);
}

void XskPort::drive() {
  if (busy_poll_) ::recvfrom(fd(), nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
}

std::uint32_t XskPort::receive(std::span<xdp_desc> out) {
  std::uint32_t at = 0;
  std::uint32_t n = xsk_ring_cons__peek(&receive_, static_cast<__u32>(out.size()), &at);
  at = receive_.cached_cons - n;
  for (std::uint32_t i = 0; i < n; ++i) {
    out[i] = *xsk_ring_cons__rx_desc(&receive_, at + i);
    // Frames that are no pages: the kernel names the frame, and above it the offset.
    out[i].addr = xsk_umem__add_offset_to_addr(out[i].addr);
  }
  if (n > 0) xsk_ring_cons__release(&receive_, n);
  in_fill_ -= n;
  return n;
}

void XskPort::refill() {
  auto room = std::min<std::size_t>(xsk_prod_nb_free(&fill_, fill_.size), umem_.free_frames());
  if (room > 0) {
    auto n = static_cast<std::uint32_t>(room);
    std::uint32_t at = fill_.cached_prod;
    fill_.cached_prod += n;
    for (std::uint32_t i = 0; i < n; ++i) umem_.take(*xsk_ring_prod__fill_addr(&fill_, at + i));
    xsk_ring_prod__submit(&fill_, n);
    in_fill_ += n;
  }
  if (xsk_ring_prod__needs_wakeup(&fill_)) ::recvfrom(fd(), nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
}

std::uint32_t XskPort::transmit(std::span<const xdp_desc> frames) {
  auto n = std::min(static_cast<std::uint32_t>(frames.size()), xsk_prod_nb_free(&transmit_, transmit_.size));
  std::uint32_t at = transmit_.cached_prod;
  transmit_.cached_prod += n;
  for (std::uint32_t i = 0; i < n; ++i) *xsk_ring_prod__tx_desc(&transmit_, at + i) = frames[i];
  if (n > 0) xsk_ring_prod__submit(&transmit_, n);
  in_transmit_ += n;
  return n;
}

std::uint32_t XskPort::unsent() const {
  return transmit_.cached_prod - __atomic_load_n(transmit_.consumer, __ATOMIC_ACQUIRE);
}

void XskPort::flush() {
  for (std::uint32_t before = unsent(); before > 0;) {
    if (!xsk_ring_prod__needs_wakeup(&transmit_)) return;
    ssize_t sent = ::sendto(fd(), nullptr, 0, MSG_DONTWAIT, nullptr, 0);
    // EAGAIN: the budget is used up, or the socket's memory. EBUSY, ENETDOWN and others: try another time.
    if (sent < 0 && errno != EAGAIN) return;
    std::uint32_t left = unsent();
    if (left >= before) return;
    before = left;
  }
}

void XskPort::reclaim() {
  std::uint32_t at = 0;
  std::uint32_t n = xsk_ring_cons__peek(&completion_, completion_.size, &at);
  at = completion_.cached_cons - n;
  for (std::uint32_t i = 0; i < n; ++i) umem_.give(*xsk_ring_cons__comp_addr(&completion_, at + i));
  if (n > 0) xsk_ring_cons__release(&completion_, n);
  in_transmit_ -= n;
}

XskPort::Losses XskPort::losses() const {
  xdp_statistics s{};
  socklen_t length = sizeof s;
  if (::getsockopt(fd(), SOL_XDP, XDP_STATISTICS, &s, &length) != 0) return {};
  return {s.rx_dropped, s.rx_ring_full, s.rx_fill_ring_empty_descs, s.rx_invalid_descs + s.tx_invalid_descs};
}

}  // namespace netserv::plane
