// Messaging associations (RFC 5971, 4.2.2): the connections behind the core's association ids, and the listening
// sockets. One thread.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <vector>

#include "gist/association.h"
#include "gist/output.h"
#include "transport/connection.h"

namespace netserv::transport {

class AssociationEvents {
 public:
  virtual ~AssociationEvents() = default;
  virtual gist::AssociationId on_accepted(const gist::AcceptedAssociation& accepted) = 0;
  virtual void on_connected(gist::AssociationId id, const gist::PeerCredentials& credentials) = 0;
  virtual void on_data(gist::AssociationId id, ByteSpan bytes) = 0;
  virtual void on_failed(gist::AssociationId id) = 0;
  // Called from within send(), too.
  virtual void on_congested(gist::AssociationId id, bool congested) = 0;
};

// Listens on all addresses, both IP versions. Needs CAP_NET_BIND_SERVICE for low ports.
Result<sys::UniqueFd> listen_tcp(std::uint16_t port);

class Associations {
 public:
  // `tls` null: plain TCP only.
  Associations(sys::EventLoop& loop, SslContext tls, AssociationEvents& events);
  // For connections that begin from now on.
  void renew(SslContext tls) { tls_ = std::move(tls); }
  // `secure`: TLS is spoken on what it accepts.
  void listen(sys::UniqueFd listener, bool secure);

  void connect(const gist::ConnectAssociation& request);
  void send(const gist::SendOnAssociation& send);
  void close(gist::AssociationId id);
  // Nothing waits to be sent any more on what was closed.
  bool drained() const { return closing_.empty(); }
  std::vector<gist::AssociationId> open() const;

 private:
  static constexpr std::size_t kMaxPending = 256;
  static constexpr std::size_t kMaxConnections = 4096;
  using Slot = std::list<std::unique_ptr<Connection>>::iterator;

  void accept(int listener, bool secure);
  void fail_later(gist::AssociationId id);
  void retire(std::unique_ptr<Connection> connection);

  sys::EventLoop& loop_;
  SslContext tls_;
  AssociationEvents& events_;
  std::vector<std::pair<sys::UniqueFd, sys::EventHandle>> listeners_;
  std::map<gist::AssociationId, std::unique_ptr<Connection>> connections_;
  std::list<std::unique_ptr<Connection>> pending_;  // accepted, TLS handshake under way
  std::list<std::unique_ptr<Connection>> closing_;
  std::vector<std::unique_ptr<Connection>> retired_;  // until no call into them is on the stack
};

}  // namespace netserv::transport
