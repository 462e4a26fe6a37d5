// The responding side of the handshake: RFC 5971, 4.4.1, 5.7.1, 5.8.1 and 6.3.
#include <algorithm>

#include "gist/core.h"
#include "wire/gist/object_walk.h"

namespace netserv::gist {
namespace {

// An application's payload in a Response must not make it longer than so many times the Query.
constexpr std::size_t kMaxResponseGrowth = 3;

}  // namespace

bool Core::validate_query(const ReceivedQuery& query, TimePoint now) {
  const Message& m = query.message;
  const Arrival arrival{Transport::kDatagram, &query.datagram, nullptr};
  if (m.nat_traversal) {
    // 7.2.3: every object with addresses must have been translated.
    for (ObjectType type : {ObjectType::kMri, ObjectType::kNli, ObjectType::kStackConfiguration}) {
      const bool there = type != ObjectType::kStackConfiguration || m.stack_configuration;
      if (there && !m.nat_traversal->lists(type))
        return refuse(ErrorKind::kUntranslatedObject, m, arrival, now,
                      {object_type_info(static_cast<std::uint16_t>(type))}), false;
    }
  }
  const bool down = direction_of(*m.mri) == Direction::kDownstream;
  const auto* path = std::get_if<PathCoupledMri>(&*m.mri);
  if (!path) {
    if (!down)  // A.3.1.2: in Q-mode, only towards the edge
      return refuse(ErrorKind::kValueNotSupported, m, arrival, now, {mri_info(m, 2)}), false;
    return true;
  }
  if (path->source.is_v4() != query.datagram.destination.is_v4())
    return refuse(ErrorKind::kIpVersionMismatch, m, arrival, now, {mri_info(m, 2)}), false;
  if (!down) {
    if (query.datagram.ttl < 254) return refuse(ErrorKind::kInvalidIpTtl, m, arrival, now), false;
    return true;
  }
  const Prefix sources(path->source, path->source_prefix);
  if (!network_.ingress_allowed(sources, query.datagram.interface))
    return refuse(ErrorKind::kIngressFilterFailure, m, arrival, now, {mri_info(m, 4)}), false;
  return true;
}

void Core::receive_query(ReceivedQuery query, TimePoint now) {
  if (!validate_query(query, now)) return;
  const Message& m = query.message;
  const RoutingKey key{inverted(*m.mri), *m.session, m.header.nslp};
  const Arrival arrival{Transport::kDatagram, &query.datagram, nullptr};
  if (responders_.find(key)) {
    if (m.nslp_data) deliver(m, arrival, {}, {}, query.ip_distance);
    return accept_query(query, {}, now);
  }
  // For state that it would confirm in vain, and ask for again at once, nobody is asked.
  const bool no_room = states_full() && unconfirmed_.empty();
  if (no_room || has_its_share(m.nli->interface_address, m.header.nslp, nullptr))
    return pass_query(query.datagram, m.header, {}, now, &m);
  // 4.3.2: the application decides whether to peer.
  const std::size_t size = query.datagram.payload.size();
  if (pending_.size() >= config_.max_pending_queries || pending_bytes_ + size > config_.max_pending_bytes)
    return pass_query(query.datagram, m.header, {}, now, &m);
  const QueryTicket ticket(++last_id_);
  const SiiHandle sii = peers_.intern({m.nli->peer_identity, m.nli->interface_address, query.datagram.source_port});
  deliver(m, arrival, {}, sii, query.ip_distance);
  std::get<RecvMessage>(out_.back()).check = ticket;
  set_timer(ticket.value(), Timer::kAnswer, now + config_.answer_timeout);
  query.message.nslp_data.reset();  // the datagram still has it
  pending_bytes_ += size;
  pending_.emplace(ticket, std::move(query));
}

std::optional<ReceivedQuery> Core::take_pending(QueryTicket ticket) {
  auto node = pending_.extract(ticket);
  if (node.empty()) return std::nullopt;
  pending_bytes_ -= node.mapped().datagram.payload.size();
  return std::move(node.mapped());
}

void Core::accept_query(const ReceivedQuery& query, const Bytes& data, TimePoint now) {
  const Message& m = query.message;
  const RoutingKey key{inverted(*m.mri), *m.session, m.header.nslp};
  const AssociationId over = m.stack_proposal ? reusable_association(m, key.mri) : AssociationId{};
  const AcceptedQuery accepted{query, data, over};
  const bool new_association = m.stack_proposal && over.value() == 0 && !own_proposal().profiles.empty();
  Responding* r = responders_.find(key);
  const bool confirm = new_association || config_.responder_policy != ResponderPolicy::kImmediate ||
                       (!r && states_full());
  if (!r) {
    const bool delayed = confirm && (config_.responder_policy == ResponderPolicy::kDelayed ||
                                     unconfirmed_.size() >= config_.max_unconfirmed || states_full());
    const NodeEvent node_event = delayed ? NodeEvent::kQueryAcceptedDelayed : NodeEvent::kQueryAccepted;
    for (NodeAction action : kNodeMachine.step(NodeState::kIdle, node_event).actions) {
      if (action == NodeAction::kSendStatelessResponse)
        return send_response(accepted, true, now);
      if (action == NodeAction::kCreateResponder) r = create_responding(key, now);
    }
    if (!r) return;
  }
  const std::uint32_t interface = query.datagram.interface;
  if (r->interface != 0 && interface != 0 && r->interface != interface)
    set_status(*r, RouteStatus::kTentative, true);  // 7.1.2: the flow comes another way
  if (m.nat_traversal) {
    if (r->wire_mri) translations_.erase({*r->wire_mri, key.session, key.nslp});
    r->beyond_nat = true;
    r->wire_mri = std::make_unique<Mri>(inverted(m.nat_traversal->original_mri));
    translations_[{*r->wire_mri, key.session, key.nslp}] = key;
  }
  r->interface = interface;
  r->ip_distance = query.ip_distance;
  r->response_association = over;
  r->claimant = std::make_unique<Claimant>(Claimant{*m.nli, query.datagram.source_port});
  const RespondingEvent received = confirm ? RespondingEvent::kQueryConfirm : RespondingEvent::kQuery;
  responding_event(*r, received, now, nullptr, nullptr, nullptr, nullptr, &accepted);
}

// Performs what the machine says. `r` may be gone afterwards.
void Core::responding_event(Responding& r, RespondingEvent event, TimePoint now, const Message* message,
                            const Arrival* arrival, const SendMessage* request, const CookieContents* cookie,
                            const AcceptedQuery* accepted) {
  const std::uint64_t id = r.id, destroyed = destroyed_;
  const auto& step = kRespondingMachine.step(r.state, event);
  if (!step.handled) return;
  r.state = step.next;
  if (r.state == RespondingState::kAwaitingConfirm) unconfirmed_.insert(id);
  if (r.state != RespondingState::kAwaitingConfirm) unconfirmed_.erase(id);
  for (RespondingAction action : step.actions) {
    switch (action) {
      case RespondingAction::kSendResponse:
        send_response(*accepted, false, now);
        r.claimant.reset();
        break;
      case RespondingAction::kSendResponseForConfirm: send_response(*accepted, true, now); break;
      case RespondingAction::kStartNoConfirm: set_timer(id, Timer::kNoConfirm, now + config_.confirm_timeout); break;
      case RespondingAction::kStopNoConfirm: cancel_timer(id, Timer::kNoConfirm); break;
      case RespondingAction::kStartExpire:
        set_timer(id, Timer::kExpire, now + std::chrono::duration_cast<Duration>(validity()));
        break;
      case RespondingAction::kExtendExpire: {
        const Peer* peer = peers_.find(r.sii);
        if (peer && *peer == Peer{r.claimant->nli.peer_identity, r.claimant->nli.interface_address, r.claimant->udp_port})
          set_timer(id, Timer::kExpire, now + std::chrono::duration_cast<Duration>(validity()));
        break;
      }
      case RespondingAction::kInstallPeer: install_querier(r, message, arrival, cookie, now); break;
      case RespondingAction::kDeliverPayload:
        if (message->nslp_data) {
          TransferAttributes attributes;
          attributes.state_validated = true;
          attributes.return_routable = config_.responder_policy != ResponderPolicy::kImmediate;
          Message local = *message;
          local.mri = inverted(r.key.mri);
          deliver(local, *arrival, attributes, r.sii, r.ip_distance);
        }
        break;
      case RespondingAction::kSendMessage:
        if (transmit(r, *request, now) != Sent::kDone) report(*request, SendError::kNoAssociation);
        break;
      case RespondingAction::kStoreMessage: store(r, *request); break;
      case RespondingAction::kSendStored:
        send_stored(r, now);
        for (const SendMessage& m : std::exchange(r.stored, {})) report(m, SendError::kNoAssociation);
        break;
      case RespondingAction::kRefuseData: refuse(ErrorKind::kNoRoutingState, *message, *arrival, now); break;
      case RespondingAction::kReportLoss:
        set_status(r, RouteStatus::kBad, true);
        break;
      case RespondingAction::kDestroy: return destroy(r, now);
      case RespondingAction::kCount: break;
    }
    if (destroyed_ != destroyed && !responders_.by_id(id)) return;
  }
}

// Built from the Query alone, so that it can be sent without state.
void Core::send_response(const AcceptedQuery& accepted, bool confirm, TimePoint now) {
  const auto& [query, data, over] = accepted;
  const Message& q = query.message;
  const Peer querier{q.nli->peer_identity, q.nli->interface_address, query.datagram.source_port};
  const std::optional<Egress> egress = network_.route(querier.address, {});
  if (!egress) return event(Event::Type::kDropped, q.header.nslp, querier.address, "no route for a Response");
  Message m;
  m.header.type = static_cast<std::uint8_t>(MessageType::kResponse);
  m.header.hops = config_.hops;
  m.header.nslp = q.header.nslp;
  m.header.source_is_signalling = true;
  m.header.reply_requested = confirm;
  m.nat_traversal = q.nat_traversal;
  m.mri = inverted(*q.mri);
  m.session = q.session;
  m.query_cookie = q.query_cookie;
  const bool up = direction_of(*m.mri) == Direction::kUpstream;
  m.nli = own_nli(egress->address, up ? query.ip_distance : config_.ip_ttl);
  if (!data.empty() && data.size() % 4 == 0) m.nslp_data = data;
  const bool multiplexed = association(over) != nullptr;
  if (confirm) {
    CookieContents contents;
    contents.interface = query.datagram.interface;
    contents.ip_distance = query.ip_distance;
    contents.association = q.stack_proposal && !multiplexed && !own_proposal().profiles.empty();
    CookieClaim claim{*q.mri, *q.session, q.header.nslp, q.nli->peer_identity, q.nli->interface_address};
    if (q.nat_traversal) {
      claim.mri = q.nat_traversal->original_mri;
      contents.local_mri = *q.mri;
      contents.local_nli = *q.nli;
    }
    m.responder_cookie = cookies_.make(claim, contents, now);
    if (contents.association) {
      m.stack_proposal = own_proposal();
      m.stack_configuration = own_configuration();
    }
  }
  if (multiplexed) {
    if (Result<Bytes> bytes = encode_message(m, Transport::kStream)) (void)send_on(over, std::move(*bytes), now);
    return;
  }
  Datagram datagram;
  datagram.source = egress->address;
  datagram.destination = querier.address;
  datagram.source_port = config_.udp_port;
  datagram.destination_port = querier.udp_port;
  // 8.4: whoever is named as the querier may never have asked, so it gets little more than what came.
  if (m.nslp_data) {
    Bytes payload = fitting(m, datagram.destination, *egress);
    const bool fits = !payload.empty() && payload.size() <= kMaxResponseGrowth * query.datagram.payload.size();
    if (fits) return void(send_datagram(std::move(payload), m.type(), m.header.nslp, std::move(datagram), false, now));
    m.nslp_data.reset();
  }
  send_datagram(m, std::move(datagram), false, now);
}

void Core::receive_confirm(const Message& m, const Arrival& arrival, TimePoint now) {
  const RoutingKey wire{inverted(*m.mri), *m.session, m.header.nslp};
  RoutingKey key = local_key(*m.mri, *m.session, m.header.nslp);
  CookieClaim claim{*m.mri, *m.session, m.header.nslp, m.nli->peer_identity, m.nli->interface_address};
  std::optional<CookieContents> cookie;
  if (m.responder_cookie) cookie = cookies_.check(*m.responder_cookie, claim, now);
  if (m.responder_cookie && !cookie) {
    event(Event::Type::kCookieRefused, m.header.nslp, m.nli->interface_address, "Responder-Cookie");
    if (config_.send_invalid_cookie_errors) {
      ByteWriter object;
      (void)encode_object(object, ObjectType::kResponderCookie, m);
      refuse(ErrorKind::kInvalidCookie, m, arrival, now, {object_value_info(object.view(), 4)});
    }
    return;
  }
  const IpAddress& expected = cookie && cookie->local_nli ? cookie->local_nli->interface_address : m.nli->interface_address;
  if (arrival.datagram && m.header.source_is_signalling && arrival.datagram->source != expected)
    return event(Event::Type::kDropped, m.header.nslp, arrival.datagram->source, "IP source differs from the NLI");
  if (cookie && cookie->local_mri) key.mri = inverted(*cookie->local_mri);
  Responding* r = responders_.find(key);
  if (!cookie) {
    if (r && r->state == RespondingState::kEstablished) return;  // rule 10
    for (NodeAction action : kNodeMachine.step(NodeState::kIdle, NodeEvent::kConfirmUnverified).actions)
      if (action == NodeAction::kSendNoRoutingState) refuse(ErrorKind::kNoRoutingState, m, arrival, now);
    return;
  }
  if (!confirm_fits_association(m, arrival, *cookie, r, now)) return;
  if (has_its_share(expected, m.header.nslp, r)) {
    if (r && r->state == RespondingState::kAwaitingConfirm) responding_event(*r, RespondingEvent::kRevoked, now);
    return refuse(ErrorKind::kNoRoutingState, m, arrival, now);
  }
  if (!r) {
    for (NodeAction action : kNodeMachine.step(NodeState::kIdle, NodeEvent::kConfirmVerified).actions)
      if (action == NodeAction::kCreateResponder) r = create_responding(key, now);
    if (!r) return refuse(ErrorKind::kNoRoutingState, m, arrival, now);
    r->ip_distance = cookie->ip_distance;
    r->interface = cookie->interface;
    if (cookie->local_mri) {
      r->wire_mri = std::make_unique<Mri>(wire.mri);
      r->beyond_nat = true;
      translations_[wire] = key;
    }
  }
  responding_event(*r, RespondingEvent::kConfirm, now, &m, &arrival, nullptr, &*cookie);
}

// The rules on where a Confirm may arrive, and that the Stack-Proposal came back as it was sent (5.7.1, 8.6).
bool Core::confirm_fits_association(const Message& m, const Arrival& arrival, const CookieContents& cookie,
                                    Responding* r, TimePoint now) {
  Association* a = arrival.association;
  if (!a) {
    if (cookie.association) refuse(ErrorKind::kIncorrectEncapsulation, m, arrival, now);
    return !cookie.association;
  }
  const bool first = !a->peer_known;
  if (first && cookie.association && !m.stack_configuration) {
    refuse(ErrorKind::kMissingObject, m, arrival, now,
           {object_type_info(static_cast<std::uint16_t>(ObjectType::kStackConfiguration))});
    return false;
  }
  if (cookie.association && m.stack_proposal != own_proposal()) {
    event(Event::Type::kStackTampered, m.header.nslp, m.nli->interface_address, "");
    if (r) responding_event(*r, RespondingEvent::kRevoked, now);
    if (first) tear_down(a->id, now);
    return false;
  }
  const Nli& nli = cookie.local_nli ? *cookie.local_nli : *m.nli;
  if (first) {
    if (!cookie.association) return refuse(ErrorKind::kIncorrectEncapsulation, m, arrival, now), false;
    a->peer_known = true;
    unclaimed_.erase(a->id);
    a->peer_identity = nli.peer_identity;
    a->peer_address = nli.interface_address;
    a->peer_hold_time = m.stack_configuration->hold_time;
    associations_by_peer_[{a->peer_identity, a->peer_address}].insert(a->id);
    cancel_timer(a->id.value(), Timer::kConnect);
  } else if (a->peer_identity != nli.peer_identity || a->peer_address != nli.interface_address) {
    return refuse(ErrorKind::kIncorrectlyDelivered, m, arrival, now), false;
  }
  if (authorised(*a, *m.mri)) return true;
  event(Event::Type::kPeerRefused, m.header.nslp, a->peer_address, "not in the authorised peer database");
  if (r) responding_event(*r, RespondingEvent::kRevoked, now);
  tear_down(a->id, now);
  return false;
}

void Core::install_querier(Responding& r, const Message* confirm, const Arrival* arrival, const CookieContents* cookie,
                           TimePoint now) {
  const Nli* nli = r.claimant ? &r.claimant->nli : nullptr;
  if (confirm && !(nli && r.wire_mri)) nli = cookie && cookie->local_nli ? &*cookie->local_nli : &*confirm->nli;
  std::uint16_t port = r.claimant ? r.claimant->udp_port : std::uint16_t{0};
  if (arrival && arrival->datagram) port = arrival->datagram->source_port;
  if (const Peer* before = peers_.find(r.sii)) shares_.remove(before->address);
  shares_.add(nli->interface_address);
  set_peer(r, {nli->peer_identity, nli->interface_address, port ? port : kUdpPort});
  if (arrival && arrival->association) {
    if (arrival->association->peer_udp_port == 0) arrival->association->peer_udp_port = port;
    use_association(r, arrival->association->id, now);
  } else if (confirm) {
    use_association(r, {}, now);
  } else if (r.response_association.value() != 0) {
    use_association(r, r.response_association, now);
  }
  if (confirm) r.claimant.reset();
}

// 4.4.3 and 5.7.1: one to the same peer that is no weaker than what the full Response would have offered, and as
// good as something that the Query asked for.
AssociationId Core::reusable_association(const Message& query, const Mri& mri) {
  const auto tls = static_cast<std::uint8_t>(MaProtocol::kTls);
  const auto secured = [tls](const StackProfile& p) { return std::find(p.begin(), p.end(), tls) != p.end(); };
  const std::vector<StackProfile>& asked = query.stack_proposal->profiles;
  const std::vector<StackProfile> offer = own_proposal().profiles;
  const bool only_secure_asked = std::all_of(asked.begin(), asked.end(), secured);
  const bool only_secure_offered = !offer.empty() && std::all_of(offer.begin(), offer.end(), secured);
  return find_association(*query.nli, only_secure_asked || only_secure_offered, mri);
}

Responding* Core::create_responding(RoutingKey key, TimePoint now) {
  if (!room_for_state(now)) return nullptr;
  Responding& r = responders_.add(std::move(key), ++last_id_);
  event(Event::Type::kStateCreated, r.key.nslp, {}, "responding");
  return &r;
}

void Core::destroy(Responding& r, TimePoint now) {
  ++destroyed_;
  for (Timer t : {Timer::kNoConfirm, Timer::kExpire}) cancel_timer(r.id, t);
  for (const SendMessage& m : r.stored) report(m, SendError::kNoNextNode);
  use_association(r, {}, now);
  if (r.wire_mri) translations_.erase({*r.wire_mri, r.key.session, r.key.nslp});
  if (const Peer* peer = peers_.find(r.sii)) shares_.remove(peer->address);
  peers_.release(r.sii);
  unconfirmed_.erase(r.id);
  event(Event::Type::kStateDeleted, r.key.nslp, {}, "responding");
  responders_.erase(r);
}

}  // namespace netserv::gist
