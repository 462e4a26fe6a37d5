#include "transport/associations.h"

#include <netinet/in.h>

#include <cerrno>

#include "base/log.h"
#include "sys/seqpacket.h"
#include "transport/socket_address.h"

namespace netserv::transport {

Result<sys::UniqueFd> listen_tcp(std::uint16_t port) {
  // One socket for both versions where there is IPv6.
  sys::UniqueFd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const bool v6 = static_cast<bool>(fd);
  if (!v6) fd = sys::UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const std::string subject = "TCP port " + std::to_string(port);
  if (!fd) return fail_errno(subject, "socket", errno);
  const int on = 1, off = 0;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (v6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  const SocketAddress any = to_socket_address(v6 ? IpAddress::from_bytes(Bytes(16)) : IpAddress(), port);
  if (::bind(fd.get(), any.get(), any.length) != 0) return fail_errno(subject, "bind", errno);
  if (::listen(fd.get(), 256) != 0) return fail_errno(subject, "listen", errno);
  return fd;
}

namespace {

// An IPv4 peer of a socket for both versions shows as ::ffff:a.b.c.d.
IpAddress peer_of(int fd) {
  SocketAddress peer;
  peer.length = sizeof peer.storage;
  if (::getpeername(fd, peer.get(), &peer.length) != 0) return {};
  const IpAddress address = to_address(peer.storage);
  const ByteSpan bytes = address.bytes();
  const bool mapped = address.is_v6() && to_hex(bytes.first(12)) == "00000000000000000000ffff";
  return mapped ? IpAddress::from_bytes(bytes.subspan(12)) : address;
}

}  // namespace

Associations::Associations(sys::EventLoop& loop, SslContext tls, AssociationEvents& events)
    : loop_(loop), tls_(std::move(tls)), events_(events) {}

void Associations::listen(sys::UniqueFd listener, bool secure) {
  const int fd = listener.get();
  sys::EventHandle watched = loop_.on_io(fd, EPOLLIN, [this, fd, secure](std::uint32_t) { accept(fd, secure); });
  listeners_.emplace_back(std::move(listener), std::move(watched));
}

void Associations::retire(std::unique_ptr<Connection> connection) {
  retired_.push_back(std::move(connection));
  if (retired_.size() == 1) loop_.post([this] { retired_.clear(); });
}

void Associations::accept(int listener, bool secure) {
  for (int i = 0; i < 32; ++i) {
    auto fd = sys::accept_connection(listener);
    if (!fd || !*fd) return;
    if (pending_.size() >= kMaxPending || connections_.size() >= kMaxConnections) continue;  // closed at once
    gist::AcceptedAssociation accepted;
    accepted.peer_address = peer_of(fd->get());
    accepted.tls = secure;
    const Slot slot = pending_.insert(pending_.end(), nullptr);
    const auto id = std::make_shared<gist::AssociationId>();
    Connection::Events events;
    events.ready = [this, slot, id, accepted](const gist::PeerCredentials& credentials) mutable {
      accepted.credentials = credentials;
      *id = events_.on_accepted(accepted);
      connections_[*id] = std::move(*slot);
      pending_.erase(slot);
    };
    events.data = [this, id](ByteSpan bytes) { events_.on_data(*id, bytes); };
    events.congested = [this, id](bool congested) { events_.on_congested(*id, congested); };
    events.ended = [this, slot, id, accepted](std::string_view why) {
      log_info({.name = accepted.peer_address.to_string()}, "association ended: {}", why);
      if (id->value() == 0) {
        retire(std::move(*slot));
        pending_.erase(slot);
        return;
      }
      const auto it = connections_.find(*id);
      if (it == connections_.end()) return;
      retire(std::move(it->second));
      connections_.erase(it);
      events_.on_failed(*id);
    };
    *slot = std::make_unique<Connection>(loop_, *std::move(fd), Connection::Role::kAccepted,
                                         secure ? tls_.get() : nullptr, std::move(events));
  }
}

void Associations::fail_later(gist::AssociationId id) {
  loop_.post([this, id] { events_.on_failed(id); });
}

void Associations::connect(const gist::ConnectAssociation& request) {
  const gist::AssociationId id = request.id;
  if (request.tls && !tls_) return fail_later(id);
  sys::UniqueFd fd(::socket(request.address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_later(id);
  const SocketAddress to = to_socket_address(request.address, request.port);
  if (::connect(fd.get(), to.get(), to.length) != 0 && errno != EINPROGRESS) return fail_later(id);
  Connection::Events events;
  events.ready = [this, id](const gist::PeerCredentials& credentials) { events_.on_connected(id, credentials); };
  events.data = [this, id](ByteSpan bytes) { events_.on_data(id, bytes); };
  events.congested = [this, id](bool congested) { events_.on_congested(id, congested); };
  events.ended = [this, id, address = request.address](std::string_view why) {
    log_info({.name = address.to_string()}, "association ended: {}", why);
    const auto it = connections_.find(id);
    if (it == connections_.end()) return;
    retire(std::move(it->second));
    connections_.erase(it);
    events_.on_failed(id);
  };
  connections_[id] = std::make_unique<Connection>(loop_, std::move(fd), Connection::Role::kConnecting,
                                                  request.tls ? tls_.get() : nullptr, std::move(events));
}

void Associations::send(const gist::SendOnAssociation& send) {
  const auto it = connections_.find(send.id);
  if (it == connections_.end() || it->second->send(send.bytes)) return;
  log_warning({.name = "association"}, "peer does not read: connection given up");
  retire(std::move(it->second));
  connections_.erase(it);
  fail_later(send.id);
}

void Associations::close(gist::AssociationId id) {
  const auto it = connections_.find(id);
  if (it == connections_.end()) return;
  const Slot slot = closing_.insert(closing_.end(), std::move(it->second));
  connections_.erase(it);
  (*slot)->close([this, slot] {
    retire(std::move(*slot));
    closing_.erase(slot);
  });
}

std::vector<gist::AssociationId> Associations::open() const {
  std::vector<gist::AssociationId> out;
  for (const auto& [id, connection] : connections_) out.push_back(id);
  return out;
}

}  // namespace netserv::transport
