// Messages in: RFC 5971, 4.3.1 and 4.3.2.
#include "gist/core.h"

namespace netserv::gist {
namespace {

const IpAddress kBroadcast = IpAddress::v4(0xffffffff);

// 5.2.2, 5.8.1.1 and 7.4: one node's address.
bool usable(const IpAddress& a) { return !a.is_multicast() && !a.is_unspecified() && a != kBroadcast; }

}  // namespace

void Core::receive_datagram(const Datagram& datagram, TimePoint now) {
  const bool local = network_.is_local(datagram.destination);
  if (!has_magic(datagram.payload)) {
    // 5.3.1 and 5.3.2.3: ours is dropped, somebody else's goes on its way.
    if (!local) forward(datagram, NslpId(0));
    return;
  }
  ByteReader in(ByteSpan(datagram.payload).subspan(4));
  const CommonHeader header = decode_header(in);
  if (!in.ok()) {
    if (!local) forward(datagram, NslpId(0));
    return;
  }
  if (!local && !header.context_free) return forward(datagram, header.nslp);  // no Q-mode message (4.3.1)
  if (!local && !intercept_bucket_.take(now))
    return event(Event::Type::kRateLimited, header.nslp, datagram.source, "intercepted packets");
  if (header.context_free && header.version == kVersion && !nslps_.contains(header.nslp))
    return pass_unknown_nslp(datagram, header, now);

  const Arrival arrival{Transport::kDatagram, &datagram, nullptr};
  DecodeResult message = decode_datagram(datagram.payload);
  if (!message) return refuse(message.error(), arrival, now);
  receive_message(*message, arrival, now);
}

void Core::receive_message(const Message& m, const Arrival& arrival, TimePoint now) {
  if (m.header.hops == 0) {
    if (m.type() != MessageType::kError) refuse(ErrorKind::kHopLimitExceeded, m, arrival, now);
    return;
  }
  const bool gist_only = m.type() == MessageType::kError || m.type() == MessageType::kMaHello;
  if (!gist_only && !nslps_.contains(m.header.nslp)) return refuse(ErrorKind::kUnknownNslpId, m, arrival, now);
  if (m.nli && m.type() != MessageType::kError) {
    // An answer to a peer that claims to be this node would come from a peer of that kind.
    if (!usable(m.nli->interface_address) || network_.is_local(m.nli->interface_address))
      return event(Event::Type::kDropped, m.header.nslp, m.nli->interface_address, "unusable Interface-Address");
    if (m.type() != MessageType::kResponse && !addresses_agree(m, arrival, now)) return;
  }
  if (m.header.context_free && !between_nodes(*m.mri))
    return refuse(ErrorKind::kValueNotSupported, m, arrival, now, {mri_info(m, 4)});
  switch (m.type()) {
    case MessageType::kQuery: {
      const std::uint8_t sent = m.nli->ip_ttl, got = arrival.datagram->ttl;
      const bool down = direction_of(*m.mri) == Direction::kDownstream;
      const auto distance = static_cast<std::uint8_t>(down && sent > got && got > 0 ? sent - got : 0);
      return receive_query({m, *arrival.datagram, distance}, now);
    }
    case MessageType::kResponse: return receive_response(m, arrival, now);
    case MessageType::kConfirm: return receive_confirm(m, arrival, now);
    case MessageType::kData: return receive_data(m, arrival, now);
    case MessageType::kError: return receive_error(m, now);
    case MessageType::kMaHello:
      if (arrival.association) receive_hello(*arrival.association, m, now);
      return;
  }
}

// 5.8.1.1: prefixes may be wild, the addresses must be nodes'.
bool Core::between_nodes(const Mri& mri) { return usable(source_of(mri)) && usable(destination_of(mri)); }

// 7.2.1: with S=1 the IP source and the NLI's address differ only behind a legacy NAT.
bool Core::addresses_agree(const Message& m, const Arrival& arrival, TimePoint now) {
  if (!arrival.datagram || !m.header.source_is_signalling) return true;
  if (arrival.datagram->source == m.nli->interface_address) return true;
  if (comes_through_nat(m, *arrival.datagram)) return true;
  if (m.type() == MessageType::kQuery)
    refuse(ErrorKind::kUntranslatedObject, m, arrival, now,
           {object_type_info(static_cast<std::uint16_t>(ObjectType::kMri))}, true);
  else
    event(Event::Type::kDropped, m.header.nslp, arrival.datagram->source, "IP source differs from the NLI");
  return false;
}

// 7.2.2: after the handshake a GIST-aware NAT changes nothing in messages, so that their NLI is of the other side.
bool Core::comes_through_nat(const Message& m, const Datagram& datagram) {
  if (m.type() == MessageType::kConfirm) return m.responder_cookie.has_value();  // which says what to compare with
  if (m.type() != MessageType::kData || m.header.context_free || m.header.explicitly_routed) return false;
  const RoutingKey key = local_key(*m.mri, *m.session, m.header.nslp);
  const auto from_peer = [&](const RoutingState& state) {
    const Peer* peer = peers_.find(state.sii);
    return state.beyond_nat && peer && peer->address == datagram.source;
  };
  const Querying* querier = queriers_.find(key);
  const Responding* responder = responders_.find(key);
  return (querier && from_peer(*querier)) || (responder && from_peer(*responder));
}

// State is kept under the local form of the MRI; a peer beyond a NAT uses another.
RoutingKey Core::local_key(const Mri& wire_mri, const SessionId& session, NslpId nslp) const {
  RoutingKey key{inverted(wire_mri), session, nslp};
  if (translations_.empty()) return key;
  const auto translated = translations_.find(key);
  return translated == translations_.end() ? key : translated->second;
}

void Core::receive_data(const Message& m, const Arrival& arrival, TimePoint now) {
  const NslpId nslp = m.header.nslp;
  std::uint8_t distance = 0;
  SiiHandle from{};
  if (arrival.datagram) {
    const Mri& mri = *m.mri;
    if (direction_of(mri) == Direction::kDownstream && m.nli->ip_ttl > arrival.datagram->ttl && arrival.datagram->ttl)
      distance = static_cast<std::uint8_t>(m.nli->ip_ttl - arrival.datagram->ttl);
    from = peers_.intern({m.nli->peer_identity, m.nli->interface_address, arrival.datagram->source_port});
  } else {
    const Association& a = *arrival.association;
    from = peers_.intern({a.peer_identity, a.peer_address, a.peer_udp_port});
  }
  // 4.3.2, in its order: first what bypasses routing state.
  if (m.header.explicitly_routed) {
    TransferAttributes attributes;
    attributes.explicitly_routed = true;
    return deliver(m, arrival, attributes, from, distance);
  }
  if (m.header.context_free) {
    const auto node_event = config_.accept_stateless_data ? NodeEvent::kDataStateless : NodeEvent::kDataNeedsState;
    for (NodeAction action : kNodeMachine.step(NodeState::kIdle, node_event).actions) {
      if (action == NodeAction::kDeliver) deliver(m, arrival, {}, from, distance);
      if (action == NodeAction::kSendNoRoutingState) refuse(ErrorKind::kNoRoutingState, m, arrival, now);
    }
    return;
  }
  const RoutingKey key = local_key(*m.mri, *m.session, nslp);
  Responding* r = responders_.find(key);
  Querying* q = queriers_.find(key);
  const bool awaiting_confirm = r && r->state == RespondingState::kAwaitingConfirm;
  if (arrival.association && !awaiting_confirm) {
    const std::set<std::uint64_t>& users = arrival.association->users;
    const bool known = (r && users.contains(r->id)) || (q && users.contains(q->id));
    if (!known) return refuse(ErrorKind::kIncorrectlyDelivered, m, arrival, now);
  }
  const bool downstream_first = direction_of(key.mri) == Direction::kDownstream;
  if (q && (!r || downstream_first)) return querying_event(*q, QueryingEvent::kData, now, &m, &arrival);
  if (r) return responding_event(*r, RespondingEvent::kData, now, &m, &arrival);
  for (NodeAction action : kNodeMachine.step(NodeState::kIdle, NodeEvent::kDataNeedsState).actions)
    if (action == NodeAction::kSendNoRoutingState) refuse(ErrorKind::kNoRoutingState, m, arrival, now);
}

void Core::deliver(const Message& m, const Arrival& arrival, TransferAttributes attributes, SiiHandle sii,
                   std::uint8_t distance) {
  if (arrival.association) {
    attributes.reliable = true;
    attributes.secure = arrival.association->tls;
    attributes.return_routable = true;
  }
  RecvMessage up;
  up.data = m.nslp_data.value_or(Bytes{});
  up.nslp = m.header.nslp;
  up.session = *m.session;
  up.mri = *m.mri;
  if (m.nat_traversal && m.type() == MessageType::kResponse) up.mri = inverted(m.nat_traversal->original_mri);
  up.sii = sii;
  if (const Peer* peer = peers_.find(sii))
    attributes.peer_is_flow_endpoint = peer->address == source_of(up.mri) || peer->address == destination_of(up.mri);
  up.attributes = attributes;
  up.ip_ttl = arrival.datagram ? arrival.datagram->ttl : std::uint8_t{0};
  up.ip_distance = distance;
  up.hops = static_cast<std::uint8_t>(m.header.hops - 1);
  up.interface = arrival.datagram ? arrival.datagram->interface : 0;
  out_.push_back(std::move(up));
}

// 5.6 and 4.4.6. Never answered.
void Core::receive_error(const Message& m, TimePoint now) {
  const ErrorObject& e = *m.error;
  event(Event::Type::kErrorReceived, e.header.nslp, m.nli ? m.nli->interface_address : IpAddress{}, e.comment, e.code,
        e.subcode);
  if (!e.session) return;
  // What came back is our own message's MRI, in the direction we sent it; behind a NAT, the original one.
  std::optional<Mri> mri = e.mri;
  if (m.nat_traversal) mri = m.nat_traversal->original_mri;
  if (!mri) return;
  RoutingKey key{*mri, *e.session, e.header.nslp};
  if (const auto t = translations_.find(key); t != translations_.end()) key = t->second;
  const auto type = static_cast<MessageType>(e.header.type);
  const bool lost_state = e.is(ErrorKind::kNoRoutingState) || e.is(ErrorKind::kIncorrectlyDelivered);
  if (Querying* querier = queriers_.find(key)) {
    Querying& q = *querier;
    if (lost_state && type != MessageType::kQuery) return querying_event(q, QueryingEvent::kNoRoutingState, now);
    if (type != MessageType::kQuery) return;
    if (e.is(ErrorKind::kEndpointFound)) return querying_event(q, QueryingEvent::kEndpointReached, now);
    if (e.is(ErrorKind::kMessageTooLarge) && q.riding) {
      // 4.3.4: the payload needs an association.
      await_association(q, *std::exchange(q.riding, nullptr));
      return querying_event(q, QueryingEvent::kNoRoutingState, now);
    }
    return querying_event(q, QueryingEvent::kRefused, now, &m);
  }
  Responding* responder = responders_.find(key);
  if (responder && lost_state && type == MessageType::kData)
    return responding_event(*responder, RespondingEvent::kNoRoutingState, now);
}

}  // namespace netserv::gist
