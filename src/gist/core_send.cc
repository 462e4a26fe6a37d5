// Messages out: RFC 5971, 4.3.3, 5.3 and 5.8.
#include <algorithm>

#include "gist/core.h"

namespace netserv::gist {
namespace {

Message data_message(const SendMessage& m, const Mri& mri, std::uint8_t hops) {
  Message out;
  out.header.type = static_cast<std::uint8_t>(MessageType::kData);
  out.header.hops = hops;
  out.header.nslp = m.nslp;
  out.header.source_is_signalling = true;
  out.mri = mri;
  out.session = m.session;
  out.nslp_data = m.data;
  return out;
}

// 5.8.2.2: loose-end has a downstream encapsulation only.
bool query_mode_possible(const Mri& mri) {
  return std::holds_alternative<PathCoupledMri>(mri) || direction_of(mri) == Direction::kDownstream;
}

}  // namespace

void Core::send_message(SendMessage m, TimePoint now) {
  if (m.hops && *m.hops == 0) return report(m, SendError::kHopsZero);
  if (!nslps_.contains(m.nslp)) return report(m, SendError::kUnknownNslp);
  if (m.data.size() % 4 != 0 || m.data.size() / 4 > kMaxObjectWords || !is_valid(m.mri) || !between_nodes(m.mri))
    return report(m, SendError::kBadPayload);
  if (network_.is_local(end_in_direction(m.mri))) return report(m, SendError::kIsDestination);
  if (m.sii.value() != 0) return send_explicitly(m, now);

  const RoutingKey key{m.mri, m.session, m.nslp};
  const auto [querying, responding] = m.attributes.stateless ? Holder{} : state_for_sending(key);
  if (responding) return responding_event(*responding, RespondingEvent::kNslpData, now, nullptr, nullptr, &m);
  if (querying) {
    // A route known to be wrong takes no data (7.1.3), so the delayed repair comes first.
    if (querying->handshake_due && querying->status == RouteStatus::kBad) {
      const std::uint64_t id = querying->id;
      querying_event(*querying, QueryingEvent::kStatusBad, now);
      if (!queriers_.by_id(id)) return report(m, SendError::kUnreachable);
    }
    return querying_event(*querying, QueryingEvent::kNslpData, now, nullptr, nullptr, &m);
  }
  NodeEvent node_event = m.attributes.stateless ? NodeEvent::kSendStateless : NodeEvent::kSendStateful;
  if (!query_mode_possible(m.mri)) node_event = NodeEvent::kSendImpossible;
  for (NodeAction action : kNodeMachine.step(NodeState::kIdle, node_event).actions) {
    if (action == NodeAction::kRejectSend) report(m, SendError::kNoEncapsulation);
    if (action == NodeAction::kSendStatelessly) send_stateless(m, now);
    if (action == NodeAction::kCreateQuerier) start_querying(std::move(m), now);
  }
}

void Core::send_stateless(const SendMessage& m, TimePoint now) {
  if (m.attributes.reliable || m.attributes.secure) return report(m, SendError::kNoAssociation);
  const std::optional<Egress> egress = egress_for(m.mri);
  Datagram datagram;
  if (!egress || !address_query_mode(m.mri, config_.query_source == QuerySource::kSignalling, *egress, datagram))
    return report(m, SendError::kUnreachable);
  if (m.ip_ttl && direction_of(m.mri) == Direction::kDownstream) datagram.ttl = *m.ip_ttl;
  Message data = data_message(m, m.mri, m.hops.value_or(config_.hops));
  data.header.context_free = true;
  data.header.source_is_signalling = datagram.source == egress->address;
  const bool down = direction_of(m.mri) == Direction::kDownstream;
  data.nli = own_nli(egress->address, down ? datagram.ttl : std::uint8_t{0});
  Bytes payload = fitting(data, datagram.destination, *egress);
  if (payload.empty()) return report(m, SendError::kTooLarge);
  const bool sent = send_datagram(std::move(payload), MessageType::kData, m.nslp, std::move(datagram), true, now);
  report(m, sent ? SendError::kNone : SendError::kOverload);
}

// 7.1.4: to a peer that was on the path before, past all routing state.
void Core::send_explicitly(const SendMessage& m, TimePoint now) {
  const Peer* peer = peers_.find(m.sii);
  if (!peer) return report(m, SendError::kUnknownSii);
  Message data = data_message(m, m.mri, m.hops.value_or(config_.hops));
  data.header.explicitly_routed = true;
  Nli nli;
  nli.peer_identity = peer->identity;
  nli.interface_address = peer->address;
  const AssociationId over = find_association(nli, m.attributes.secure, m.mri);
  if (over.value() != 0) {
    TransferAttributes used;
    used.reliable = true;
    used.secure = associations_.at(over)->tls;
    if (associations_.at(over)->congested) return report(m, SendError::kOverload);
    Result<Bytes> bytes = encode_message(data, Transport::kStream);
    if (!bytes) return report(m, SendError::kBadPayload);
    return report(m, send_on(over, std::move(*bytes), now) ? SendError::kNone : SendError::kOverload, nullptr, used);
  }
  if (m.attributes.reliable || m.attributes.secure) return report(m, SendError::kNoAssociation);
  const std::optional<Egress> egress = network_.route(peer->address, {});
  if (!egress) return report(m, SendError::kUnreachable);
  Datagram datagram;
  datagram.source = egress->address;
  datagram.destination = peer->address;
  datagram.source_port = config_.udp_port;
  datagram.destination_port = peer->udp_port;
  datagram.ttl = m.ip_ttl.value_or(config_.ip_ttl);
  data.nli = own_nli(egress->address, direction_of(m.mri) == Direction::kDownstream ? datagram.ttl : std::uint8_t{0});
  Bytes payload = fitting(data, datagram.destination, *egress);
  if (payload.empty()) return report(m, SendError::kTooLarge);
  const bool sent = send_datagram(std::move(payload), MessageType::kData, m.nslp, std::move(datagram), false, now);
  report(m, sent ? SendError::kNone : SendError::kOverload);
}

Core::Sent Core::transmit(RoutingState& state, const SendMessage& m, TimePoint now) {
  const std::uint8_t hops = m.hops.value_or(config_.hops);
  Message data = data_message(m, state.wire_mri ? *state.wire_mri : state.key.mri, hops);
  if (Association* a = association(state.association); a && fits(*a, m.attributes)) {
    if (a->state == AssociationState::kAwaitingConnection) return Sent::kConnecting;
    if (a->congested) return report(m, SendError::kOverload), Sent::kDone;
    TransferAttributes used;
    used.reliable = true;
    used.secure = a->tls;
    Result<Bytes> bytes = encode_message(data, Transport::kStream);
    if (!bytes) return report(m, SendError::kBadPayload), Sent::kDone;
    const bool sent = send_on(state.association, std::move(*bytes), now);
    report(m, sent ? SendError::kNone : SendError::kOverload, nullptr, used);
    return Sent::kDone;
  }
  if (m.attributes.reliable || m.attributes.secure) return Sent::kNeedsAssociation;
  const Peer* peer = peers_.find(state.sii);
  if (!peer) return Sent::kNeedsAssociation;
  const std::optional<Egress> egress = network_.route(peer->address, {});
  if (!egress) return report(m, SendError::kUnreachable), Sent::kDone;
  Datagram datagram;
  datagram.source = egress->address;
  datagram.destination = peer->address;
  datagram.source_port = config_.udp_port;
  datagram.destination_port = peer->udp_port;
  datagram.ttl = m.ip_ttl.value_or(config_.ip_ttl);
  const bool down = direction_of(state.key.mri) == Direction::kDownstream;
  data.nli = own_nli(egress->address, down ? datagram.ttl : state.ip_distance);
  Bytes payload = fitting(data, datagram.destination, *egress);
  if (payload.empty()) return Sent::kNeedsAssociation;
  const bool sent = send_datagram(std::move(payload), MessageType::kData, m.nslp, std::move(datagram), false, now);
  report(m, sent ? SendError::kNone : SendError::kOverload);
  return Sent::kDone;
}

void Core::send_stored(RoutingState& state, TimePoint now) {
  std::vector<SendMessage> waiting = std::exchange(state.stored, {});
  Querying* querier = queriers_.by_id(state.id);
  const bool may_ask = querier != nullptr;
  for (SendMessage& m : waiting) {
    const bool behind_another = may_ask && !state.stored.empty();  // in order
    const Sent sent = behind_another ? Sent::kConnecting : transmit(state, m, now);
    if (sent == Sent::kDone) continue;
    if (sent == Sent::kNeedsAssociation && may_ask) {
      await_association(*querier, std::move(m));
    } else {
      state.stored.push_back(std::move(m));
    }
  }
}

void Core::store(RoutingState& state, const SendMessage& m) {
  if (state.stored.size() >= config_.max_stored_messages) return report(m, SendError::kOverload);
  state.stored.push_back(m);
}

// One limiter for all D-mode messages made here; what it holds back goes out in order later. False if dropped.
bool Core::send_datagram(const Message& m, Datagram datagram, bool query_mode, TimePoint now) {
  Result<Bytes> bytes = encode_datagram(m);
  if (!bytes) {
    event(Event::Type::kDropped, m.header.nslp, datagram.destination, bytes.error().message());
    return false;
  }
  return send_datagram(std::move(*bytes), m.type(), m.header.nslp, std::move(datagram), query_mode, now);
}

bool Core::send_datagram(Bytes payload, MessageType of, NslpId nslp, Datagram datagram, bool query_mode, TimePoint now) {
  datagram.payload = std::move(payload);
  if (datagram.ttl == 0) datagram.ttl = config_.ip_ttl;
  SendDatagram send{std::move(datagram), query_mode, nslp};
  if (send_queue_.empty() && send_bucket_.take(now)) {
    out_.push_back(std::move(send));
    return true;
  }
  // Answers to strangers leave half of the queue to what this node wants to say.
  const bool answer = of == MessageType::kResponse || of == MessageType::kError;
  if (send_queue_.size() >= (answer ? config_.send_queue / 2 : config_.send_queue)) {
    event(Event::Type::kRateLimited, nslp, send.datagram.destination, "queue is full");
    return false;
  }
  send_queue_.push_back(std::move(send));
  if (!timer_running(0, Timer::kSendQueue)) set_timer(0, Timer::kSendQueue, send_bucket_.ready(now));
  return true;
}

void Core::release_send_queue(TimePoint now) {
  while (!send_queue_.empty() && send_bucket_.take(now)) {
    out_.push_back(std::move(send_queue_.front()));
    send_queue_.pop_front();
  }
  if (!send_queue_.empty()) set_timer(0, Timer::kSendQueue, send_bucket_.ready(now));
}

std::optional<Egress> Core::egress_for(const Mri& mri) const {
  const bool down = direction_of(mri) == Direction::kDownstream;
  return network_.route(end_in_direction(mri), down ? source_of(mri) : destination_of(mri));
}

// 5.8.1.2, 5.8.1.3 and 5.8.2.2. False if the encapsulation is not defined.
bool Core::address_query_mode(const Mri& mri, bool signalling_source, const Egress& egress, Datagram& out) const {
  if (!query_mode_possible(mri)) return false;
  const bool down = direction_of(mri) == Direction::kDownstream;
  out.destination = end_in_direction(mri);
  out.source = down && !signalling_source ? source_of(mri) : egress.address;
  out.source_port = config_.udp_port;
  out.destination_port = kUdpPort;
  out.ttl = down ? config_.ip_ttl : std::uint8_t{255};
  out.interface = egress.interface;
  if (const auto* path = std::get_if<PathCoupledMri>(&mri)) {
    out.dscp = path->dscp.value_or(0);
    out.flow_label = path->flow_label.value_or(0);
  }
  return true;
}

// 4.3.3: the packet's size is limited, 64 bytes of which are for IP and UDP.
std::size_t Core::datagram_room(const IpAddress& destination, const Egress& egress) const {
  const auto known = network_.path_mtu(destination);
  const std::size_t limit = known ? *known : std::min(egress.mtu, config_.path_mtu);
  return limit - std::min<std::size_t>(limit, 64);
}

Bytes Core::fitting(const Message& m, const IpAddress& destination, const Egress& egress) const {
  Result<Bytes> bytes = encode_datagram(m);
  if (!bytes || bytes->size() > datagram_room(destination, egress)) return {};
  return std::move(*bytes);
}

void Core::report(const SendMessage& m, SendError error, const ErrorObject* cause, TransferAttributes used) {
  if (m.handle.value() == 0) return;
  MessageStatus status;
  status.handle = m.handle;
  status.nslp = m.nslp;
  status.attributes = used;
  status.error = error;
  if (cause) status.gist_code = cause->code, status.gist_subcode = cause->subcode;
  out_.push_back(status);
}

void Core::notify(const RoutingState& state, NetworkNotification::Type type, RouteStatus status, SiiHandle sii) {
  out_.push_back(NetworkNotification{state.key.nslp, state.key.session, state.key.mri, type, status, sii});
}

void Core::set_status(RoutingState& state, RouteStatus status, bool tell) {
  if (state.status == status) return;
  state.status = status;
  const SiiHandle sii = status == RouteStatus::kGood ? state.sii : SiiHandle{};
  if (tell) notify(state, NetworkNotification::Type::kRoutingStatus, status, sii);
}

// Tells the application of a new peer, and that the old one is off the path (7.1.4).
void Core::set_peer(RoutingState& state, const Peer& peer) {
  const SiiHandle sii = peers_.intern(peer);
  if (state.sii == sii) return set_status(state, RouteStatus::kGood, true);
  const SiiHandle old = std::exchange(state.sii, sii);
  peers_.retain(sii);
  state.status = RouteStatus::kGood;
  notify(state, NetworkNotification::Type::kRoutingStatus, RouteStatus::kGood, sii);
  if (old.value() == 0) return;
  notify(state, NetworkNotification::Type::kRouteDeletion, RouteStatus::kBad, old);
  peers_.release(old);
}

}  // namespace netserv::gist
