// gistd without its rights: the GIST core between sockets, associations and signalling applications. One thread, one
// event loop. Nothing here needs a capability or a file.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "gist/authorised_peers.h"
#include "gist/core.h"
#include "gist/nat.h"
#include "sys/acceptor.h"
#include "sys/event_loop.h"
#include "sys/seqpacket.h"
#include "transport/associations.h"
#include "transport/crypto.h"
#include "transport/datagram_sockets.h"
#include "transport/ip_network.h"
#include "transport/ping.h"
#include "transport/queue_relay.h"
#include "transport/router_alert.h"
#include "wire/gist_api/codec.h"

namespace netserv::daemons {

// Opened while the process had rights.
struct GistdParts {
  std::unique_ptr<transport::IpNetwork> network;
  std::unique_ptr<transport::DatagramSockets> datagrams;
  std::unique_ptr<transport::RouterAlert> router_alert;  // null: not used
  transport::SslContext tls;                             // null: no TLS
  sys::UniqueFd tcp_listener, tls_listener, api_listener;
  sys::Channel keeper;
  sys::Channel orders;  // from the keeper (gistd_orders.h)
};

struct GistdSettings {
  gist::Config core;
  std::vector<gist::AuthorisedPeer> peers;
  std::map<gist::NslpId, std::uint16_t> router_alert;  // values that differ from `default_router_alert`
  std::uint16_t default_router_alert = 0;
  std::optional<gist::NatBindings> nat;  // of a NAT that this node is
  bool answer_pings = true;
  std::string name;  // in answers to pings
};

class GistdService final : private transport::AssociationEvents {
 public:
  GistdService(sys::EventLoop& loop, GistdSettings settings, GistdParts parts);
  ~GistdService() override;
  // Closes associations once all is sent that was to be, then calls `done`.
  void shut_down(std::function<void()> done);

 private:
  struct Client {
    sys::Channel channel;
    sys::UniqueFd out;  // the same socket, watched for room
    sys::EventHandle readable, writable;
    std::deque<Bytes> waiting;  // what the application has not made room for yet
    std::size_t waiting_bytes = 0;
    std::optional<gist::NslpId> nslp;  // once attached
  };

  void on_datagrams(int fd, std::uint32_t ready);
  void on_router_alert(int fd);
  transport::QueueReader::Answer on_queued(ByteSpan packet, std::uint32_t interface);
  void on_network_change();
  void on_orders();
  Status take_up(ByteSpan order);
  // Sent, or to go on as this packet; empty if it is no NAT's business.
  std::optional<transport::QueueReader::Answer> translate(const gist::Datagram& datagram);

  void perform(gist::Outputs outputs);
  void send(const gist::SendDatagram& out);
  void arm();
  void log(const gist::Event& event);

  // gistd_clients.cc
  void accept_client(sys::UniqueFd fd);
  void on_client(std::uint64_t id);
  void drop_client(std::uint64_t id, std::string_view why);
  void tell(std::uint64_t id, const gist::ApiMessage& message);
  void tell_waiting(std::uint64_t id);
  Status handle(std::uint64_t id, gist::ApiMessage message);
  Status attach(std::uint64_t id, const gist::Attach& request);
  void deliver(const gist::RecvMessage& message);
  void deliver(const gist::MessageStatus& status);
  void deliver(const gist::NetworkNotification& notification);
  std::uint64_t client_for(gist::NslpId nslp, const gist::SessionId& session) const;
  bool is_ping(gist::NslpId nslp) const;
  void send_pings(std::vector<gist::SendMessage> messages);

  gist::AssociationId on_accepted(const gist::AcceptedAssociation& accepted) override;
  void on_connected(gist::AssociationId id, const gist::PeerCredentials& credentials) override;
  void on_data(gist::AssociationId id, ByteSpan bytes) override;
  void on_failed(gist::AssociationId id) override;
  void on_congested(gist::AssociationId id, bool congested) override { core_.association_congested(id, congested); }

  sys::EventLoop& loop_;
  GistdSettings settings_;
  GistdParts parts_;
  transport::OpensslCrypto crypto_;
  gist::AuthorisedPeers authority_;
  gist::Core core_;
  std::optional<gist::Nat> nat_;
  std::uint64_t dropped_by_nat_ = 0;
  transport::Associations associations_;
  transport::PingResponder ping_;
  std::unique_ptr<transport::QueueReader> queue_;
  std::vector<sys::EventHandle> sources_;
  sys::EventHandle timer_, drain_;
  std::unique_ptr<sys::Acceptor> api_;
  std::optional<TimePoint> armed_;

  std::map<std::uint64_t, Client> clients_;
  std::uint64_t last_client_ = 0;
  std::map<gist::NslpId, std::uint64_t> owners_;
  // Who pings: gistd answers for that NSLPID itself, so applications share it, each with its own sessions.
  std::map<gist::SessionId, std::uint64_t> sessions_;
  std::map<gist::QueryTicket, std::uint64_t> tickets_;
};

}  // namespace netserv::daemons
