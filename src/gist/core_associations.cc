// Messaging associations: RFC 5971, 4.4.3, 4.4.5, 5.4, 5.7 and 6.4.
#include <algorithm>

#include "gist/core.h"

namespace netserv::gist {

Association* Core::association(AssociationId id) {
  const auto it = associations_.find(id);
  return it == associations_.end() ? nullptr : it->second.get();
}

// 5.7.2: to the address in the Response's NLI and the port in its configuration, at once.
Association& Core::open_association(const Message& response, const StackProfile& profile, std::uint16_t port,
                                    std::uint16_t udp_port, TimePoint now) {
  auto owned = std::make_unique<Association>();
  Association& a = *owned;
  a.id = AssociationId(++last_id_);
  a.initiator = true;
  a.tls = std::find(profile.begin(), profile.end(), static_cast<std::uint8_t>(MaProtocol::kTls)) != profile.end();
  a.peer_known = true;
  a.peer_identity = response.nli->peer_identity;
  a.peer_address = response.nli->interface_address;
  a.peer_udp_port = udp_port;
  a.peer_hold_time = response.stack_configuration->hold_time;
  associations_[a.id] = std::move(owned);
  associations_by_peer_[{a.peer_identity, a.peer_address}].insert(a.id);
  association_event(a, AssociationEvent::kCreate, now);
  set_timer(a.id.value(), Timer::kConnect, now + config_.connect_timeout);
  out_.push_back(ConnectAssociation{a.id, a.peer_address, port, a.tls});
  return a;
}

// The oldest one that was accepted and that no Confirm has claimed makes room. False if there is none.
bool Core::room_for_association(TimePoint now) {
  if (associations_.size() < config_.max_associations) return true;
  if (unclaimed_.empty()) return false;
  tear_down(*unclaimed_.begin(), now);
  return true;
}

AssociationId Core::accept_association(const AcceptedAssociation& accepted, TimePoint now) {
  if (!room_for_association(now)) return {};
  auto owned = std::make_unique<Association>();
  Association& a = *owned;
  a.id = AssociationId(++last_id_);
  a.tls = accepted.tls;
  a.peer_address = accepted.peer_address;
  a.credentials = accepted.credentials;
  a.peer_hold_time = config_.hold_time;
  associations_[a.id] = std::move(owned);
  unclaimed_.insert(a.id);
  association_event(a, AssociationEvent::kCreate, now);
  association_event(a, AssociationEvent::kConnected, now);
  set_timer(a.id.value(), Timer::kConnect, now + config_.stack_contents_lifetime);  // for the first Confirm
  return a.id;
}

Outputs Core::association_connected(AssociationId id, const PeerCredentials& credentials, TimePoint now) {
  Association* a = association(id);
  if (!a || a->state != AssociationState::kAwaitingConnection) return take();
  a->credentials = credentials;
  // 4.4.1: whoever wants to use it must find the peer authorised for its flow.
  std::vector<std::uint64_t> refused;
  for (std::uint64_t user : a->users) {
    const Querying* q = queriers_.by_id(user);
    if (q && !authorised(*a, q->key.mri)) refused.push_back(user);
  }
  if (!refused.empty()) {
    event(Event::Type::kPeerRefused, {}, a->peer_address, "not in the authorised peer database");
    for (std::uint64_t user : refused) {
      Querying& q = *queriers_.by_id(user);
      notify(q, NetworkNotification::Type::kAuthorisationChange, RouteStatus::kBad, {});
      report_waiting(q, SendError::kNoAssociation);
      destroy(q, now);
    }
    a = association(id);
    if (!a) return take();
    if (a->users.empty()) return tear_down(id, now), take();
  }
  cancel_timer(id.value(), Timer::kConnect);
  association_event(*a, AssociationEvent::kConnected, now);
  const std::set<std::uint64_t> users = a->users;
  for (std::uint64_t user : users)
    if (Querying* q = queriers_.by_id(user)) send_stored(*q, now);
  return take();
}

Outputs Core::association_data(AssociationId id, ByteSpan bytes, TimePoint now) {
  Association* a = association(id);
  if (!a) return take();
  stream_bytes_ -= std::exchange(a->incomplete, 0);
  a->splitter.append(bytes);
  for (ByteSpan next = a->splitter.next(); !next.empty(); next = a->splitter.next()) {
    const Bytes message(next.begin(), next.end());
    receive_stream_message(*a, message, now);
    a = association(id);
    if (!a) return take();
  }
  stream_bytes_ += a->incomplete = a->splitter.buffered();
  const bool too_much = stream_bytes_ > config_.max_stream_bytes ||
                        (!a->peer_known && a->incomplete > config_.max_unclaimed_message);
  if (too_much) {
    event(Event::Type::kDropped, {}, a->peer_address, "an association with too much of an incomplete message");
    tear_down(id, now);
  }
  return take();
}

void Core::receive_stream_message(Association& a, ByteSpan bytes, TimePoint now) {
  const AssociationId id = a.id;
  const Arrival arrival{Transport::kStream, nullptr, &a};
  const DecodeResult m = decode_message(bytes, Transport::kStream);
  if (!m) {
    refuse(m.error(), arrival, now);
    // The boundaries of another version's messages can't be trusted.
    if (m.error().kind == ErrorKind::kUnknownVersion) tear_down(id, now);
    return;
  }
  if (m->type() != MessageType::kMaHello) association_event(a, AssociationEvent::kMessage, now);
  // Only a Confirm can make use of an association that nobody has claimed.
  if (!a.peer_known && m->type() != MessageType::kConfirm && m->type() != MessageType::kMaHello)
    return refuse(ErrorKind::kIncorrectlyDelivered, *m, arrival, now);
  receive_message(*m, arrival, now);
  settle(id, now);
}

void Core::receive_hello(Association& a, const Message& m, TimePoint now) {
  association_event(a, AssociationEvent::kHello, now, nullptr, &m);
}

Outputs Core::association_failed(AssociationId id, TimePoint now) {
  Association* a = association(id);
  if (!a) return take();
  const bool connecting = a->state == AssociationState::kAwaitingConnection;
  association_event(*a, connecting ? AssociationEvent::kConnectFailed : AssociationEvent::kFailed, now);
  return take();
}

void Core::association_congested(AssociationId id, bool congested) {
  if (Association* a = association(id)) a->congested = congested;
}

// 4.4.5: at a random moment, well before the peer would give up.
void Core::start_send_hello(Association& a, TimePoint now) {
  set_timer(a.id.value(), Timer::kSendHello, now + period_within(a.peer_hold_time, config_.hold_time));
}

// Performs what the machine says. `a` may be gone afterwards.
void Core::association_event(Association& a, AssociationEvent event, TimePoint now, Bytes* bytes,
                             const Message* message) {
  const AssociationId id = a.id;
  const auto& step = kAssociationMachine.step(a.state, event);
  if (!step.handled) return;
  a.state = step.next;
  const auto hello = [&](std::uint32_t hello_id) {
    Message m;
    m.header.type = static_cast<std::uint8_t>(MessageType::kMaHello);
    m.header.hops = 1;
    m.header.source_is_signalling = true;
    m.hello_id = hello_id;
    if (Result<Bytes> encoded = encode_message(m, Transport::kStream))
      out_.push_back(SendOnAssociation{id, std::move(*encoded)});
  };
  for (AssociationAction action : step.actions) {
    switch (action) {
      case AssociationAction::kTransmit: out_.push_back(SendOnAssociation{id, std::move(*bytes)}); break;
      case AssociationAction::kQueue: a.queue.push_back(std::move(*bytes)); break;
      case AssociationAction::kFlush:
        for (Bytes& queued : std::exchange(a.queue, {})) out_.push_back(SendOnAssociation{id, std::move(queued)});
        break;
      case AssociationAction::kStartSendHello: start_send_hello(a, now); break;
      case AssociationAction::kStopSendHello: cancel_timer(id.value(), Timer::kSendHello); break;
      case AssociationAction::kStartNoHello:
        set_timer(id.value(), Timer::kNoHello, now + std::chrono::duration_cast<Duration>(config_.hold_time));
        break;
      case AssociationAction::kStopNoHello: cancel_timer(id.value(), Timer::kNoHello); break;
      case AssociationAction::kAnswerHello:
        if (!message->header.reply_requested) break;
        hello(*message->hello_id);
        if (timer_running(id.value(), Timer::kSendHello)) start_send_hello(a, now);
        break;
      case AssociationAction::kSendHello: hello(0); break;
      case AssociationAction::kReportFailure: report_failure(a, now); break;
      case AssociationAction::kClose: out_.push_back(CloseAssociation{id}); break;
      case AssociationAction::kDestroy: {
        for (Timer t : {Timer::kSendHello, Timer::kNoHello, Timer::kConnect}) cancel_timer(id.value(), t);
        const auto of_peer = associations_by_peer_.find({a.peer_identity, a.peer_address});
        if (of_peer != associations_by_peer_.end()) {
          of_peer->second.erase(id);
          if (of_peer->second.empty()) associations_by_peer_.erase(of_peer);
        }
        unclaimed_.erase(id);
        stream_bytes_ -= a.incomplete;
        associations_.erase(id);
        return;
      }
      case AssociationAction::kCount: break;
    }
  }
}

// 6.4: the routing states learn of it; what was sent reliably may be lost (4.1.2).
void Core::report_failure(Association& a, TimePoint now) {
  for (std::uint64_t user : std::exchange(a.users, {})) {
    if (Querying* querying = queriers_.by_id(user)) {
      Querying& q = *querying;
      q.association = {};
      notify(q, NetworkNotification::Type::kCommunicationFailure, RouteStatus::kBad, {});
      if (++q.association_failures >= 3) {
        report_waiting(q, SendError::kNoAssociation);
        destroy(q, now);
      } else {
        querying_event(q, QueryingEvent::kAssociationLost, now);
      }
    } else if (Responding* r = responders_.by_id(user)) {
      r->association = {};
      notify(*r, NetworkNotification::Type::kCommunicationFailure, RouteStatus::kBad, {});
    }
  }
}

// At once, with all routing state that uses it (4.4.2).
void Core::tear_down(AssociationId id, TimePoint now) {
  Association* a = association(id);
  if (!a) return;
  for (std::uint64_t user : std::exchange(a->users, {})) {
    if (Querying* q = queriers_.by_id(user)) {
      q->association = {};
      report_waiting(*q, SendError::kNoAssociation);
      destroy(*q, now);
    } else if (Responding* r = responders_.by_id(user)) {
      r->association = {};
      destroy(*r, now);
    }
  }
  out_.push_back(CloseAssociation{id});
  const bool connecting = a->state == AssociationState::kAwaitingConnection;
  association_event(*a, connecting ? AssociationEvent::kConnectFailed : AssociationEvent::kFailed, now);
}

Outputs Core::authorisation_changed(TimePoint now) {
  std::vector<AssociationId> ids;
  for (const auto& [id, a] : associations_) ids.push_back(id);
  for (AssociationId id : ids) {
    Association* a = association(id);
    if (!a || a->state == AssociationState::kAwaitingConnection || !a->peer_known) continue;
    const std::set<std::uint64_t> users = a->users;
    std::size_t left = users.size();
    for (std::uint64_t user : users) {
      Querying* q = queriers_.by_id(user);
      Responding* r = responders_.by_id(user);
      const RoutingState* state = q ? static_cast<RoutingState*>(q) : r;
      if (!state || authorised(*a, state->key.mri)) continue;
      notify(*state, NetworkNotification::Type::kAuthorisationChange, RouteStatus::kBad, {});
      if (q) destroy(*q, now);
      if (r) destroy(*r, now);
      --left;
    }
    if (left == 0 && !users.empty()) tear_down(id, now);
  }
  return take();
}

// False if there is no room.
bool Core::send_on(AssociationId id, Bytes bytes, TimePoint now) {
  Association* a = association(id);
  if (!a || a->queue.size() >= config_.max_association_queue) return false;
  association_event(*a, AssociationEvent::kRawData, now, &bytes);
  return true;
}

// Id 0: none. The one used before may be needed no longer.
void Core::use_association(RoutingState& state, AssociationId id, TimePoint now) {
  const AssociationId before = std::exchange(state.association, id);
  if (Association* a = association(id)) {
    a->users.insert(state.id);
    if (a->state == AssociationState::kConnected)
      if (Querying* q = queriers_.by_id(state.id)) q->association_failures = 0;
  }
  if (before == id) return;
  if (Association* a = association(before)) {
    a->users.erase(state.id);
    settle(before, now);
  }
}

// tg_MAIdle: no routing state uses it.
void Core::settle(AssociationId id, TimePoint now) {
  Association* a = association(id);
  if (a && a->users.empty() && a->peer_known) association_event(*a, AssociationEvent::kUnneeded, now);
}

bool Core::authorised(const Association& a, const Mri& mri) const {
  return !a.tls || authority_.authorised(a.credentials, a.peer_address, mri);
}

bool Core::fits(const Association& a, const TransferAttributes& wanted) const { return a.tls || !wanted.secure; }

AssociationId Core::find_association(const Nli& peer, bool secure, const Mri& mri) {
  const auto it = associations_by_peer_.find({peer.peer_identity, peer.interface_address});
  if (it == associations_by_peer_.end()) return {};
  for (AssociationId id : it->second) {
    const Association& a = *associations_.at(id);
    const bool usable = a.state == AssociationState::kAwaitingConnection || a.state == AssociationState::kConnected ||
                        a.state == AssociationState::kIdle;
    if (!usable || (secure && !a.tls)) continue;
    if (a.state != AssociationState::kAwaitingConnection && !authorised(a, mri)) continue;
    return id;
  }
  return {};
}

// Does not depend on the Query (5.7.1).
StackProposal Core::own_proposal() const {
  const auto tcp = static_cast<std::uint8_t>(MaProtocol::kForwardsTcp);
  const auto tls = static_cast<std::uint8_t>(MaProtocol::kTls);
  StackProposal p;
  if (config_.tls_port) p.profiles.push_back({tls, tcp});
  if (config_.tcp_port) p.profiles.push_back({tcp});
  return p;
}

StackConfiguration Core::own_configuration() const {
  StackConfiguration c{config_.hold_time, {}};
  std::uint8_t profile = 0;
  if (config_.tls_port) c.options.push_back(forwards_tcp_option(config_.tls_port, ++profile));
  if (config_.tcp_port) c.options.push_back(forwards_tcp_option(config_.tcp_port, ++profile));
  return c;
}

}  // namespace netserv::gist
