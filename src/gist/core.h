// GIST (RFC 5971) as a pure core: datagrams, connections' bytes, requests of signalling applications and the time
// go in; what is to be done comes out. No system calls, clock or threads in here.
//
// Every entry point takes `now`, which never goes backwards, and returns what to do, in order. Call on_time() at
// next_deadline() or later. One thread at a time.
//
// Choices where the RFC leaves them: see docs/gist.md.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>

#include "gist/association.h"
#include "gist/config.h"
#include "gist/cookies.h"
#include "gist/end_hosts.h"
#include "gist/environment.h"
#include "gist/node_sm.h"
#include "gist/output.h"
#include "gist/peer_shares.h"
#include "gist/peers.h"
#include "gist/routing_state.h"
#include "gist/state_table.h"
#include "gist/timers.h"
#include "gist/token_bucket.h"
#include "wire/gist_api/api.h"

namespace netserv::gist {

class Core {
 public:
  // The interfaces must outlive the core.
  Core(Config config, Crypto& crypto, const Network& network, const PeerAuthority& authority);
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  void register_nslp(NslpId nslp) { nslps_.insert(nslp); }
  void unregister_nslp(NslpId nslp) { nslps_.erase(nslp); }

  // A UDP datagram that was addressed to this node or intercepted because of its port, Router Alert Option or
  // magic number. Comes back as ForwardDatagram if it is none of ours.
  [[nodiscard]] Outputs on_datagram(const Datagram& datagram, TimePoint now);
  // ICMP port unreachable about a datagram of ours: `quoted` is what it quotes of the UDP payload.
  [[nodiscard]] Outputs on_port_unreachable(ByteSpan quoted, TimePoint now);
  // ICMP fragmentation needed, or packet too big, about a Query of ours: packets over `mtu` bytes do not get through.
  [[nodiscard]] Outputs on_packet_too_big(ByteSpan quoted, std::uint16_t mtu, TimePoint now);

  // 0 if there are too many: close the connection. An older one that no Confirm has claimed makes room: call on_time()
  // for what that brings.
  [[nodiscard]] AssociationId accept_association(const AcceptedAssociation& accepted, TimePoint now);
  [[nodiscard]] Outputs association_connected(AssociationId id, const PeerCredentials& credentials, TimePoint now);
  [[nodiscard]] Outputs association_data(AssociationId id, ByteSpan bytes, TimePoint now);
  // It could not be connected, was reset, or closed by the peer.
  [[nodiscard]] Outputs association_failed(AssociationId id, TimePoint now);
  // What waits to be sent on it has grown too long, or is short again: in between, applications' messages for it are
  // refused as overload, so that flow control reaches them (4.1.1).
  void association_congested(AssociationId id, bool congested);

  [[nodiscard]] Outputs send(SendMessage message, TimePoint now);
  [[nodiscard]] Outputs answer_query(QueryTicket ticket, const QueryAnswer& answer, TimePoint now);
  [[nodiscard]] Outputs set_state_lifetime(const SetStateLifetime& request, TimePoint now);
  [[nodiscard]] Outputs invalidate_routing_state(const InvalidateRoutingState& request, TimePoint now);
  // The local routes towards `destinations` changed (7.1.2, local trigger).
  [[nodiscard]] Outputs route_changed(const Prefix& destinations, TimePoint now);
  // The authorised peer database changed: associations and the state over them are checked again (4.4.2).
  [[nodiscard]] Outputs authorisation_changed(TimePoint now);

  [[nodiscard]] Outputs on_time(TimePoint now);
  std::optional<TimePoint> next_deadline() const { return timers_.next(); }

  const Config& config() const { return config_; }
  std::size_t querying_states() const { return queriers_.size(); }
  std::size_t responding_states() const { return responders_.size(); }
  std::size_t associations() const { return associations_.size(); }
  std::size_t waiting_datagrams() const { return send_queue_.size(); }
  std::size_t pending_queries() const { return pending_.size(); }
  std::size_t known_peers() const { return peers_.size(); }
  // For tests and diagnostics; null without such state.
  const Querying* find_querying(const RoutingKey& key) const;
  const Responding* find_responding(const RoutingKey& key) const;
  const Association* find_association(AssociationId id) const;

 private:
  // Where a message came from.
  struct Arrival {
    Transport transport = Transport::kDatagram;
    const Datagram* datagram = nullptr;  // kDatagram
    Association* association = nullptr;  // kStream
  };
  enum class Timer : std::uint8_t {
    kNoResponse, kRefresh, kInactive, kNoConfirm, kExpire, kSendHello, kNoHello, kConnect, kSendQueue, kAnswer
  };

  // core_receive.cc
  void receive_datagram(const Datagram& datagram, TimePoint now);
  void receive_message(const Message& message, const Arrival& arrival, TimePoint now);
  void receive_data(const Message& message, const Arrival& arrival, TimePoint now);
  void receive_error(const Message& message, TimePoint now);
  bool addresses_agree(const Message& message, const Arrival& arrival, TimePoint now);
  bool comes_through_nat(const Message& message, const Datagram& datagram);
  static bool between_nodes(const Mri& mri);
  void deliver(const Message& message, const Arrival& arrival, TransferAttributes attributes, SiiHandle sii,
               std::uint8_t distance);
  RoutingKey local_key(const Mri& wire_mri, const SessionId& session, NslpId nslp) const;

  // core_pass.cc: Queries that this node takes no part in
  void pass_unknown_nslp(const Datagram& datagram, const CommonHeader& header, TimePoint now);
  void pass_query(const Datagram& datagram, const CommonHeader& header, const std::optional<Bytes>& data,
                  TimePoint now, const Message* read = nullptr);
  void forward(Datagram datagram, NslpId nslp);

  // core_querying.cc
  void querying_event(Querying& q, QueryingEvent event, TimePoint now, const Message* message = nullptr,
                      const Arrival* arrival = nullptr, const SendMessage* request = nullptr);
  void start_querying(SendMessage message, TimePoint now);
  void receive_response(const Message& message, const Arrival& arrival, TimePoint now);
  bool send_query(Querying& q, TimePoint now);
  Message make_query(Querying& q, bool with_payload);
  void start_no_response(Querying& q, bool first, TimePoint now);
  void install_responder(Querying& q, const Message& response, const Arrival& arrival, TimePoint now);
  void choose_association(Querying& q, const Message& response, const Arrival& arrival, TimePoint now);
  std::vector<StackProfile> usable_profiles(const Querying& q) const;
  void fail_association(Querying& q);
  void send_confirm(Querying& q, const Message& response, TimePoint now);
  void send_stored(RoutingState& state, TimePoint now);
  void await_association(Querying& q, SendMessage message);
  void begin_handshake(Querying& q);
  bool report_waiting(Querying& q, SendError error, const ErrorObject* cause = nullptr);
  void set_inactive(Querying& q, TimePoint now);
  void restart_inactive(Querying& q, TimePoint now);
  void destroy(Querying& q, TimePoint now);

  // core_icmp.cc
  Querying* quoted_query(ByteSpan quoted, bool& shown);

  // core_responding.cc
  void receive_query(ReceivedQuery query, TimePoint now);
  bool validate_query(const ReceivedQuery& query, TimePoint now);
  // What the application peers on, with its payload for the Response and the association that this takes, if any.
  struct AcceptedQuery {
    const ReceivedQuery& query;
    const Bytes& data;
    AssociationId over{};
  };
  void accept_query(const ReceivedQuery& query, const Bytes& data, TimePoint now);
  std::optional<ReceivedQuery> take_pending(QueryTicket ticket);
  void receive_confirm(const Message& message, const Arrival& arrival, TimePoint now);
  bool confirm_fits_association(const Message& message, const Arrival& arrival, const CookieContents& cookie,
                                Responding* responder, TimePoint now);
  void responding_event(Responding& r, RespondingEvent event, TimePoint now, const Message* message = nullptr,
                        const Arrival* arrival = nullptr, const SendMessage* request = nullptr,
                        const CookieContents* cookie = nullptr, const AcceptedQuery* accepted = nullptr);
  void send_response(const AcceptedQuery& accepted, bool confirm, TimePoint now);
  void install_querier(Responding& r, const Message* confirm, const Arrival* arrival, const CookieContents* cookie,
                       TimePoint now);
  AssociationId reusable_association(const Message& query, const Mri& mri);
  Responding* create_responding(RoutingKey key, TimePoint now);
  void destroy(Responding& r, TimePoint now);

  // core_associations.cc
  Association* association(AssociationId id);
  Association& open_association(const Message& response, const StackProfile& profile, std::uint16_t port,
                                std::uint16_t udp_port, TimePoint now);
  void association_event(Association& a, AssociationEvent event, TimePoint now, Bytes* bytes = nullptr,
                         const Message* message = nullptr);
  void start_send_hello(Association& a, TimePoint now);
  bool send_on(AssociationId id, Bytes bytes, TimePoint now);
  void use_association(RoutingState& state, AssociationId id, TimePoint now);
  void settle(AssociationId id, TimePoint now);
  void report_failure(Association& a, TimePoint now);
  void tear_down(AssociationId id, TimePoint now);
  bool room_for_association(TimePoint now);
  void receive_stream_message(Association& a, ByteSpan bytes, TimePoint now);
  void receive_hello(Association& a, const Message& message, TimePoint now);
  bool authorised(const Association& a, const Mri& mri) const;
  bool fits(const Association& a, const TransferAttributes& wanted) const;
  AssociationId find_association(const Nli& peer, bool secure, const Mri& mri);
  StackProposal own_proposal() const;
  StackConfiguration own_configuration() const;

  // core_send.cc
  void send_message(SendMessage message, TimePoint now);
  void send_stateless(const SendMessage& message, TimePoint now);
  void send_explicitly(const SendMessage& message, TimePoint now);
  enum class Sent : std::uint8_t { kDone, kConnecting, kNeedsAssociation };
  // Sends or reports the message, unless it has to wait.
  Sent transmit(RoutingState& state, const SendMessage& message, TimePoint now);
  // The message as a datagram; empty if it can't be one or is too long for the path.
  Bytes fitting(const Message& message, const IpAddress& destination, const Egress& egress) const;
  bool send_datagram(const Message& message, Datagram addressing, bool query_mode, TimePoint now);
  bool send_datagram(Bytes payload, MessageType of, NslpId nslp, Datagram addressing, bool query_mode, TimePoint now);
  void release_send_queue(TimePoint now);
  bool address_query_mode(const Mri& mri, bool signalling_source, const Egress& egress, Datagram& out) const;
  std::optional<Egress> egress_for(const Mri& mri) const;
  std::size_t datagram_room(const IpAddress& destination, const Egress& egress) const;
  void report(const SendMessage& message, SendError error, const ErrorObject* cause = nullptr,
              TransferAttributes used = {});
  void notify(const RoutingState& state, NetworkNotification::Type type, RouteStatus status, SiiHandle sii);
  void set_status(RoutingState& state, RouteStatus status, bool tell);
  void set_peer(RoutingState& state, const Peer& peer);
  void store(RoutingState& state, const SendMessage& message);

  // core_errors.cc
  void refuse(const DecodeError& error, const Arrival& arrival, TimePoint now);
  void refuse(ErrorKind kind, const Message& message, const Arrival& arrival, TimePoint now,
              std::vector<ErrorInfo> info = {}, bool to_ip_source = false);
  void send_error(const DecodeError& error, const Arrival& arrival, bool to_ip_source, TimePoint now);
  // Names the message's MRI, and where in it the fault lies.
  static ErrorInfo mri_info(const Message& message, std::uint16_t value_offset);
  void event(Event::Type type, NslpId nslp, IpAddress peer, std::string text, std::uint16_t code = 0,
             std::uint8_t subcode = 0);

  // core.cc
  Outputs take() { return std::exchange(out_, {}); }
  Nli own_nli(const IpAddress& address, std::uint8_t ttl) const;
  Milliseconds validity() const;
  Duration period_within(Milliseconds lifetime, Milliseconds own);  // random, in [1/2, 3/4) of the peer's
  void fire(TimerId timer, TimePoint now);
  void set_timer(std::uint64_t owner, Timer kind, TimePoint at) { timers_.set({owner, std::uint8_t(kind)}, at); }
  void cancel_timer(std::uint64_t owner, Timer kind) { timers_.cancel({owner, std::uint8_t(kind)}); }
  bool timer_running(std::uint64_t owner, Timer kind) const { return timers_.running({owner, std::uint8_t(kind)}); }
  bool room_for_state(TimePoint now);
  bool has_its_share(const IpAddress& peer, NslpId nslp, const Responding* one);
  bool states_full() const { return queriers_.size() + responders_.size() >= config_.max_routing_states; }
  // At most one of them is not null.
  struct Holder {
    Querying* querying = nullptr;
    Responding* responding = nullptr;
  };
  Holder state_for_sending(const RoutingKey& key);

  const Config config_;
  Crypto& crypto_;
  const Network& network_;
  const PeerAuthority& authority_;

  std::set<NslpId> nslps_;
  StateTable<Querying> queriers_;
  StateTable<Responding> responders_;
  std::unordered_map<RoutingKey, RoutingKey, RoutingKeyHash> translations_;  // wire to local, behind NATs
  std::set<std::uint64_t> unconfirmed_;                                      // responders, oldest first
  std::map<AssociationId, std::unique_ptr<Association>> associations_;
  std::map<std::pair<Bytes, IpAddress>, std::set<AssociationId>> associations_by_peer_;
  std::set<AssociationId> unclaimed_;  // accepted, and no Confirm yet; oldest first
  std::size_t stream_bytes_ = 0;       // of messages that have not come whole yet, on all associations
  std::map<QueryTicket, ReceivedQuery> pending_;
  std::size_t pending_bytes_ = 0;
  std::deque<SendDatagram> send_queue_;
  Peers peers_;
  PeerShares shares_;  // of responders
  EndHosts end_hosts_;
  CookieJar cookies_;
  Timers timers_;
  TokenBucket send_bucket_;
  TokenBucket intercept_bucket_;
  std::uint64_t last_id_ = 0;
  std::uint64_t destroyed_ = 0;  // routing states so far
  Outputs out_;
};

}  // namespace netserv::gist
