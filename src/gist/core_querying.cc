// The querying side of the handshake: RFC 5971, 4.4.1, 5.3.3 and 6.2.
#include <algorithm>

#include "gist/core.h"

namespace netserv::gist {

void Core::start_querying(SendMessage m, TimePoint now) {
  if (!room_for_state(now)) return report(m, SendError::kOverload);
  Querying& q = queriers_.add({m.mri, m.session, m.nslp}, ++last_id_);
  q.handshake = std::make_unique<Handshake>();
  q.inactivity = config_.inactivity;
  q.hops = m.hops.value_or(config_.hops);
  event(Event::Type::kStateCreated, q.key.nslp, {}, "querying");
  querying_event(q, QueryingEvent::kNslpData, now, nullptr, nullptr, &m);
}

// Performs what the machine says. `q` may be gone afterwards.
void Core::querying_event(Querying& q, QueryingEvent event, TimePoint now, const Message* message,
                          const Arrival* arrival, const SendMessage* request) {
  const std::uint64_t id = q.id, destroyed = destroyed_;
  const auto& step = kQueryingMachine.step(q.state, event);
  if (!step.handled) return;
  // A lower status is announced before the repair begins (7.1.3), except to the application that caused it.
  if (event == QueryingEvent::kAssociationLost || event == QueryingEvent::kNoRoutingState)
    set_status(q, RouteStatus::kBad, true);
  const QueryingState before = std::exchange(q.state, step.next);
  const ErrorObject* cause = message && message->error ? &*message->error : nullptr;
  for (QueryingAction action : step.actions) {
    switch (action) {
      case QueryingAction::kStoreMessage: {
        const TransferAttributes& wanted = request->attributes;
        q.wants_reliable |= wanted.reliable;
        q.wants_secure |= wanted.secure;
        if (request->timeout) {
          const TimePoint end = now + *request->timeout;
          std::optional<TimePoint>& give_up = q.handshake->give_up;
          give_up = std::min(give_up.value_or(end), end);
        }
        const bool may_ride = wanted.in_query && !wanted.reliable && !wanted.secure && !q.riding;
        if (before == QueryingState::kBirth && may_ride) {
          q.riding = std::make_unique<SendMessage>(*request);
        } else {
          store(q, *request);
        }
        break;
      }
      case QueryingAction::kSendMessage:
        switch (q.stored.empty() ? transmit(q, *request, now) : Sent::kConnecting) {  // in order
          case Sent::kDone: break;
          case Sent::kConnecting: store(q, *request); break;
          case Sent::kNeedsAssociation: await_association(q, *request); break;
        }
        break;
      case QueryingAction::kSendQuery:
        if (event != QueryingEvent::kNoResponse) begin_handshake(q);
        if (!send_query(q, now)) return;
        break;
      case QueryingAction::kStartNoResponse: start_no_response(q, true, now); break;
      case QueryingAction::kBackOffNoResponse: start_no_response(q, false, now); break;
      case QueryingAction::kStopNoResponse: cancel_timer(id, Timer::kNoResponse); break;
      case QueryingAction::kStartRefresh:
        set_timer(id, Timer::kRefresh, now + period_within(message->nli->validity, config_.validity));
        break;
      case QueryingAction::kStopRefresh: cancel_timer(id, Timer::kRefresh); break;
      case QueryingAction::kInstallPeer: install_responder(q, *message, *arrival, now); break;
      case QueryingAction::kSendConfirm:
        if (message->header.reply_requested) send_confirm(q, *message, now);
        break;
      case QueryingAction::kSendStored:
        if (q.riding) report(*std::exchange(q.riding, nullptr), SendError::kNone);
        send_stored(q, now);
        break;
      case QueryingAction::kDeliverPayload:
        if (message->nslp_data) {
          TransferAttributes attributes;
          attributes.state_validated = true;
          attributes.return_routable = true;
          deliver(*message, *arrival, attributes, q.sii, q.ip_distance);
          restart_inactive(q, now);
        }
        break;
      case QueryingAction::kEnsureInactive:
        if (!timer_running(id, Timer::kInactive)) set_inactive(q, now);
        break;
      case QueryingAction::kRestartInactive: restart_inactive(q, now); break;
      case QueryingAction::kReportNoResponse: {
        const Handshake& h = *q.handshake;
        const bool timed_out = h.give_up && now >= *h.give_up && h.sent < config_.max_queries;
        const SendError error = timed_out ? SendError::kTimeout : SendError::kNoNextNode;
        report_waiting(q, error);
        if (!timed_out) notify(q, NetworkNotification::Type::kLastNode, RouteStatus::kBad, {});
        break;
      }
      case QueryingAction::kReportRefused: {
        const SendError error = cause ? SendError::kRefused : SendError::kNoAssociation;
        if (report_waiting(q, error, cause)) break;
        notify(q, NetworkNotification::Type::kCommunicationFailure, RouteStatus::kBad, {});
        break;
      }
      case QueryingAction::kReportLastNode:
        report_waiting(q, SendError::kNoNextNode, cause);
        notify(q, NetworkNotification::Type::kLastNode, RouteStatus::kBad, {});
        break;
      case QueryingAction::kDestroy: return destroy(q, now);
      case QueryingAction::kCount: break;
    }
    if (destroyed_ != destroyed && !queriers_.by_id(id)) return;
  }
  // A message had to wait for an association, or an invalidation for a message.
  if (q.handshake_due && q.state == QueryingState::kEstablished &&
      (event == QueryingEvent::kNslpData || event == QueryingEvent::kResponse)) {
    q.handshake_due = false;
    querying_event(q, q.status == RouteStatus::kBad ? QueryingEvent::kStatusBad : QueryingEvent::kRefresh, now);
  }
}

// Of what the handshake was for. False if that was nothing.
bool Core::report_waiting(Querying& q, SendError error, const ErrorObject* cause) {
  const auto riding = std::exchange(q.riding, nullptr);
  const std::vector<SendMessage> stored = std::exchange(q.stored, {});
  if (riding) report(*riding, error, cause);
  for (const SendMessage& m : stored) report(m, error, cause);
  return riding || !stored.empty();
}

void Core::set_inactive(Querying& q, TimePoint now) {
  q.inactive_at = now + q.inactivity;
  set_timer(q.id, Timer::kInactive, q.inactive_at);
}

// With every message of the session: the timer that runs sees for itself that it came too early.
void Core::restart_inactive(Querying& q, TimePoint now) {
  q.inactive_at = std::max(q.inactive_at, now + q.inactivity);
}

// `m` can't go without one: asked for, or too long for a datagram. The next Query asks for it.
void Core::await_association(Querying& q, SendMessage m) {
  m.attributes.reliable = true;  // so that it is reported when there is none to be had
  q.wants_reliable = true;
  q.wants_secure |= m.attributes.secure;
  store(q, m);
  q.handshake_due = true;
}

void Core::begin_handshake(Querying& q) {
  q.handshake->cookies.clear();
  q.handshake->sent = 0;
  q.handshake_due = false;
}

void Core::start_no_response(Querying& q, bool first, TimePoint now) {
  Handshake& h = *q.handshake;
  h.back_off = first ? config_.t1 : std::min(h.back_off * 2, config_.t2);
  // Only for a path that is not known yet: what is there is not given up so fast.
  std::optional<Duration> patience;
  if (first && q.state == QueryingState::kAwaitingResponse && q.sii.value() == 0)
    patience = end_hosts_.patience(end_in_direction(q.key.mri), h.egress, now);
  h.expects_end_host = patience && *patience < h.back_off;
  TimePoint at = now + (h.expects_end_host ? *patience : h.back_off);
  if (h.give_up && *h.give_up > now) at = std::min(at, *h.give_up);
  set_timer(q.id, Timer::kNoResponse, at);
}

// 5.7.1: only what suits the messages that are waiting; the best first.
std::vector<StackProfile> Core::usable_profiles(const Querying& q) const {
  const auto tcp = static_cast<std::uint8_t>(MaProtocol::kForwardsTcp);
  const auto tls = static_cast<std::uint8_t>(MaProtocol::kTls);
  std::vector<StackProfile> profiles;
  if (config_.use_tls) profiles.push_back({tls, tcp});
  if (config_.use_tcp && !q.wants_secure) profiles.push_back({tcp});
  return profiles;
}

Message Core::make_query(Querying& q, bool with_payload) {
  Message m;
  m.header.type = static_cast<std::uint8_t>(MessageType::kQuery);
  m.header.hops = q.hops;
  m.header.nslp = q.key.nslp;
  m.header.context_free = true;
  m.header.reply_requested = true;
  m.mri = q.key.mri;
  m.session = q.key.session;
  const QueryCookie& cookie = q.handshake->cookies.back();
  m.query_cookie = Bytes(cookie.begin(), cookie.end());
  if (q.wants_association()) {
    StackProposal proposal{usable_profiles(q)};
    if (!proposal.profiles.empty()) {
      m.stack_proposal = std::move(proposal);
      const auto tcp = static_cast<std::uint8_t>(MaProtocol::kForwardsTcp);
      m.stack_configuration = StackConfiguration{config_.hold_time, {ProtocolOptions{tcp, 0, false, {}}}};
    }
  }
  if (!with_payload) return m;
  if (q.riding) m.nslp_data = q.riding->data;
  const Bytes& invalidation = q.handshake->invalidation_data;
  if (!q.riding && !invalidation.empty() && invalidation.size() % 4 == 0) m.nslp_data = invalidation;
  return m;
}

// False if `q` is gone: there is no way to send it.
bool Core::send_query(Querying& q, TimePoint now) {
  const std::optional<Egress> egress = egress_for(q.key.mri);
  const bool down = direction_of(q.key.mri) == Direction::kDownstream;
  const bool own_source = config_.query_source == QuerySource::kSignalling || q.handshake->sent % 2 == 1;
  Datagram datagram;
  if (!egress || !address_query_mode(q.key.mri, own_source, *egress, datagram)) {
    report_waiting(q, SendError::kUnreachable);
    destroy(q, now);
    return false;
  }
  q.handshake->egress = *egress;
  crypto_.fill(q.handshake->cookies.emplace_back());
  if (q.riding && q.riding->ip_ttl && down) datagram.ttl = *q.riding->ip_ttl;
  Message m = make_query(q, true);
  // S=0 only if the flow's address differs from the signalling one (5.2.1).
  m.header.source_is_signalling = q.source_is_signalling = datagram.source == egress->address;
  m.nli = own_nli(egress->address, down ? datagram.ttl : q.ip_distance);
  Egress through = *egress;
  if (q.path_mtu) through.mtu = std::min(through.mtu, q.path_mtu);
  const auto too_large = [&] { return fitting(m, datagram.destination, through).empty(); };
  if (q.riding && too_large()) {
    // 4.3.3: it must go over an association.
    await_association(q, *std::exchange(q.riding, nullptr));
    const Nli nli = *m.nli;
    m = make_query(q, false);
    m.header.source_is_signalling = q.source_is_signalling;
    m.nli = nli;
  } else if (m.nslp_data && !q.riding && too_large()) {
    m.nslp_data.reset();
  }
  q.asked_for_association = m.stack_proposal.has_value();
  if (q.asked_for_association) q.handshake_due = false;
  ++q.handshake->sent;
  q.handshake->asked = now;
  send_datagram(m, std::move(datagram), true, now);
  return true;
}

void Core::receive_response(const Message& m, const Arrival& arrival, TimePoint now) {
  // 7.2.3: behind a GIST-aware NAT the state goes by the MRI that we sent.
  const Mri sent_mri = m.nat_traversal ? m.nat_traversal->original_mri : inverted(*m.mri);
  end_hosts_.forget(end_in_direction(sent_mri));
  Querying* found = queriers_.find({sent_mri, *m.session, m.header.nslp});
  if (!found) {
    for (NodeAction action : kNodeMachine.step(NodeState::kIdle, NodeEvent::kResponse).actions)
      if (action == NodeAction::kDiscard)
        event(Event::Type::kDropped, m.header.nslp, m.nli->interface_address, "Response without a Query");
    return;
  }
  Querying& q = *found;
  if (!q.has_cookie(*m.query_cookie)) {
    event(Event::Type::kCookieRefused, m.header.nslp, m.nli->interface_address, "Query-Cookie");
    if (config_.send_invalid_cookie_errors) {
      ByteWriter object;
      object.u32(static_cast<std::uint32_t>(ObjectType::kQueryCookie) << 16 |
                 static_cast<std::uint32_t>(m.query_cookie->size() / 4));
      object.bytes(*m.query_cookie);
      refuse(ErrorKind::kInvalidCookie, m, arrival, now, {object_value_info(object.view(), 4)});
    }
    return;
  }
  if (arrival.datagram && m.header.source_is_signalling &&
      arrival.datagram->source != m.nli->interface_address) {
    // 7.2.1: a legacy NAT on the way ends the handshake. The application is told what one on this side would have been
    // told by the peer.
    event(Event::Type::kDropped, m.header.nslp, arrival.datagram->source, "legacy NAT before the responder");
    Message untranslated;
    untranslated.error.emplace();
    untranslated.error->code = code_of(ErrorKind::kUntranslatedObject);
    untranslated.error->subcode = subcode_of(ErrorKind::kUntranslatedObject);
    return querying_event(q, QueryingEvent::kRefused, now, &untranslated);
  }
  if (const Association* a = arrival.association) {
    // A NAT does not look into associations: there the NLI has the other side's address.
    const bool same_peer = a->peer_known && a->peer_identity == m.nli->peer_identity &&
                           (m.nat_traversal || a->peer_address == m.nli->interface_address);
    if (!same_peer) return refuse(ErrorKind::kIncorrectlyDelivered, m, arrival, now);
    const TransferAttributes wanted{q.wants_reliable, q.wants_secure};
    if (!fits(*a, wanted) || !authorised(*a, q.key.mri)) return querying_event(q, QueryingEvent::kRefused, now);
  }
  querying_event(q, QueryingEvent::kResponse, now, &m, &arrival);
}

void Core::install_responder(Querying& q, const Message& m, const Arrival& arrival, TimePoint now) {
  q.handshake->give_up.reset();
  q.handshake->invalidation_data.clear();
  if (direction_of(*m.mri) == Direction::kUpstream) {
    q.ip_distance = m.nli->ip_ttl;
  } else if (arrival.datagram && m.nli->ip_ttl > arrival.datagram->ttl && arrival.datagram->ttl > 0) {
    q.ip_distance = static_cast<std::uint8_t>(m.nli->ip_ttl - arrival.datagram->ttl);
  }
  std::uint16_t port = arrival.datagram ? arrival.datagram->source_port : std::uint16_t{0};
  if (!arrival.datagram) port = arrival.association->peer_udp_port;
  q.beyond_nat = m.nat_traversal.has_value();
  const IpAddress& address = q.beyond_nat && arrival.association ? arrival.association->peer_address : m.nli->interface_address;
  set_peer(q, {m.nli->peer_identity, address, port ? port : kUdpPort});
  q.had_upstream |= responders_.find({inverted(q.key.mri), q.key.session, q.key.nslp}) != nullptr;
  choose_association(q, m, arrival, now);
}

void Core::choose_association(Querying& q, const Message& m, const Arrival& arrival, TimePoint now) {
  if (arrival.association) return use_association(q, arrival.association->id, now);
  if (!q.wants_association()) {
    // What there is may be kept if the peer is still the same.
    const Association* a = association(q.association);
    if (a && (a->peer_identity != m.nli->peer_identity || a->peer_address != m.nli->interface_address))
      use_association(q, {}, now);
    return;
  }
  if (!m.stack_proposal || !q.asked_for_association) {
    use_association(q, {}, now);
    q.handshake_due = !q.asked_for_association && !usable_profiles(q).empty();
    if (!q.handshake_due) fail_association(q);
    return;
  }
  const AssociationId existing = find_association(*m.nli, q.wants_secure, q.key.mri);
  if (existing.value() != 0) return use_association(q, existing, now);
  const std::vector<StackProfile>& theirs = m.stack_proposal->profiles;
  const auto forbidden = [&](std::uint8_t protocol, unsigned profile) {
    return std::any_of(m.stack_configuration->options.begin(), m.stack_configuration->options.end(),
                       [&](const ProtocolOptions& o) {
                         return o.do_not_use && o.protocol == protocol && (o.profile == 0 || o.profile == profile);
                       });
  };
  for (const StackProfile& profile : usable_profiles(q)) {
    const auto found = std::find(theirs.begin(), theirs.end(), profile);
    if (found == theirs.end()) continue;
    const auto index = static_cast<unsigned>(found - theirs.begin()) + 1;
    const auto port = forwards_tcp_port(*m.stack_configuration, index);
    if (!port || std::any_of(profile.begin(), profile.end(), [&](std::uint8_t p) { return forbidden(p, index); }))
      continue;
    if (!room_for_association(now)) break;
    const std::uint16_t udp_port = arrival.datagram->source_port;
    return use_association(q, open_association(m, profile, *port, udp_port, now).id, now);
  }
  use_association(q, {}, now);
}

// The peer offers nothing that fits: messages that need an association can't go.
void Core::fail_association(Querying& q) {
  std::vector<SendMessage> waiting = std::exchange(q.stored, {});
  for (SendMessage& m : waiting) {
    if (m.attributes.reliable || m.attributes.secure) report(m, SendError::kNoAssociation);
    if (!m.attributes.reliable && !m.attributes.secure) q.stored.push_back(std::move(m));
  }
  q.wants_reliable = q.wants_secure = false;
}

void Core::send_confirm(Querying& q, const Message& response, TimePoint now) {
  Message m;
  m.header.type = static_cast<std::uint8_t>(MessageType::kConfirm);
  m.header.hops = q.hops;
  m.header.nslp = q.key.nslp;
  m.header.source_is_signalling = true;
  m.mri = q.key.mri;
  m.session = q.key.session;
  m.responder_cookie = response.responder_cookie;
  const bool down = direction_of(q.key.mri) == Direction::kDownstream;
  m.nli = own_nli(q.handshake->egress.address, down ? config_.ip_ttl : q.ip_distance);
  if (Association* a = association(q.association)) {
    m.stack_proposal = response.stack_proposal;
    if (a->initiator && !a->confirm_sent && m.stack_proposal)
      m.stack_configuration = StackConfiguration{config_.hold_time, {}};
    a->confirm_sent = true;
    if (Result<Bytes> bytes = encode_message(m, Transport::kStream))
      (void)send_on(q.association, std::move(*bytes), now);
    return;
  }
  if (response.stack_proposal) {
    // An association was to be set up and can't be: the responder takes no Confirm outside of it.
    for (const SendMessage& waiting : std::exchange(q.stored, {})) report(waiting, SendError::kNoAssociation);
    if (q.riding) report(*std::exchange(q.riding, nullptr), SendError::kNone);
    return destroy(q, now);
  }
  const Peer peer = *peers_.find(q.sii);
  Datagram datagram;
  datagram.source = q.handshake->egress.address;
  datagram.destination = peer.address;
  datagram.source_port = config_.udp_port;
  datagram.destination_port = peer.udp_port;
  send_datagram(m, std::move(datagram), false, now);
}

void Core::destroy(Querying& q, TimePoint now) {
  ++destroyed_;
  for (Timer t : {Timer::kNoResponse, Timer::kRefresh, Timer::kInactive}) cancel_timer(q.id, t);
  if (q.riding) report(*q.riding, SendError::kLost);
  for (const SendMessage& m : q.stored) report(m, SendError::kLost);
  use_association(q, {}, now);
  peers_.release(q.sii);
  event(Event::Type::kStateDeleted, q.key.nslp, {}, "querying");
  queriers_.erase(q);
}

}  // namespace netserv::gist
