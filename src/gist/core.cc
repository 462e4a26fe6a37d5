#include "gist/core.h"

#include <algorithm>

namespace netserv::gist {
namespace {

RoutingKeyHash secret_hash(Crypto& crypto) {
  RoutingKeyHash::Seed seed;
  crypto.fill(std::as_writable_bytes(std::span(seed)));
  return RoutingKeyHash(seed);
}

}  // namespace

Core::Core(Config config, Crypto& crypto, const Network& network, const PeerAuthority& authority)
    : config_(std::move(config)),
      crypto_(crypto),
      network_(network),
      authority_(authority),
      queriers_(secret_hash(crypto)),
      responders_(secret_hash(crypto)),
      translations_(0, secret_hash(crypto)),
      peers_(config_.max_peers),
      shares_(config_.max_peer_states),
      end_hosts_(config_.end_host_memory, config_.max_end_hosts),
      cookies_(crypto, config_.cookie_secret_lifetime),
      send_bucket_(config_.send_rate, config_.send_burst),
      intercept_bucket_(config_.intercept_rate, config_.intercept_burst) {}

Outputs Core::on_datagram(const Datagram& datagram, TimePoint now) {
  receive_datagram(datagram, now);
  return take();
}

Outputs Core::send(SendMessage message, TimePoint now) {
  send_message(std::move(message), now);
  return take();
}

Outputs Core::answer_query(QueryTicket ticket, const QueryAnswer& answer, TimePoint now) {
  const std::optional<ReceivedQuery> pending = take_pending(ticket);
  if (!pending) return take();
  cancel_timer(ticket.value(), Timer::kAnswer);
  const ReceivedQuery& query = *pending;
  // 4.3.2: where the Query ends, peering is the only choice.
  const bool last = network_.is_local(query.datagram.destination);
  if (answer.peer || last) {
    accept_query(query, answer.data.value_or(Bytes{}), now);
  } else {
    for (NodeAction action : kNodeMachine.step(NodeState::kIdle, NodeEvent::kQueryDeclined).actions)
      if (action == NodeAction::kPropagateQuery) pass_query(query.datagram, query.message.header, answer.data, now, &query.message);
  }
  return take();
}

Outputs Core::set_state_lifetime(const SetStateLifetime& request, TimePoint now) {
  const auto applies = [&](const RoutingState& s) {
    return s.key.nslp == request.nslp && s.key.mri == request.mri;
  };
  std::vector<std::uint64_t> ids;
  if (request.session) {
    const RoutingKey key{request.mri, *request.session, request.nslp};
    if (const Querying* q = find_querying(key)) ids.push_back(q->id);
    if (const Responding* r = find_responding(key)) ids.push_back(r->id);
  } else {
    const auto collect = [&](const RoutingState& s) {
      if (applies(s)) ids.push_back(s.id);
    };
    queriers_.each(collect);
    responders_.each(collect);
    std::sort(ids.begin(), ids.end());
  }
  for (std::uint64_t id : ids) {
    if (Querying* q = queriers_.by_id(id)) {
      if (request.lifetime <= Duration::zero()) {
        querying_event(*q, QueryingEvent::kInactive, now);
      } else {
        q->inactivity = request.lifetime;
        set_inactive(*q, now);
      }
    } else if (Responding* r = responders_.by_id(id)) {
      if (request.lifetime <= Duration::zero()) responding_event(*r, RespondingEvent::kReleased, now);
    }
  }
  return take();
}

Outputs Core::invalidate_routing_state(const InvalidateRoutingState& request, TimePoint now) {
  std::vector<std::uint64_t> ids;
  const auto applies = [&](const RoutingState& s) {
    return s.key.mri == request.mri && (!request.nslp || *request.nslp == s.key.nslp);
  };
  queriers_.each([&](const Querying& q) {
    if (applies(q)) ids.push_back(q.id);
  });
  std::sort(ids.begin(), ids.end());
  for (std::uint64_t id : ids) {
    Querying* found = queriers_.by_id(id);
    if (!found) continue;  // an event of another one ended it
    Querying& q = *found;
    q.handshake->invalidation_data = request.data;
    q.status = request.status;  // the application knows: no notification (7.1.3)
    const auto event =
        request.status == RouteStatus::kBad ? QueryingEvent::kStatusBad : QueryingEvent::kStatusTentative;
    if (request.urgent) {
      querying_event(q, event, now);
    } else {
      q.handshake_due = true;
    }
  }
  responders_.each([&](Responding& r) {
    if (applies(r)) r.status = request.status;
  });
  return take();
}

Outputs Core::route_changed(const Prefix& destinations, TimePoint now) {
  end_hosts_.forget(destinations);
  std::vector<std::uint64_t> ids;
  queriers_.each([&](const Querying& q) {
    const bool down = direction_of(q.key.mri) == Direction::kDownstream;
    const IpAddress& towards = down ? destination_of(q.key.mri) : source_of(q.key.mri);
    if (destinations.contains(towards)) ids.push_back(q.id);
  });
  std::sort(ids.begin(), ids.end());
  for (std::uint64_t id : ids) {
    Querying* found = queriers_.by_id(id);
    if (!found) continue;
    Querying& q = *found;
    // 7.1.3, option 1: the forwarding table may say that nothing changed for this flow.
    if (egress_for(q.key.mri) == q.handshake->egress) continue;
    // A Query that is under way took the old route: its Response is followed by another handshake.
    if (q.state != QueryingState::kEstablished) q.handshake_due = true;
    if (q.status != RouteStatus::kGood) continue;
    set_status(q, RouteStatus::kTentative, true);
    querying_event(q, QueryingEvent::kStatusTentative, now);
  }
  return take();
}

Outputs Core::on_time(TimePoint now) {
  while (const auto timer = timers_.pop(now)) fire(*timer, now);
  return take();
}

void Core::fire(TimerId timer, TimePoint now) {
  Querying* q = queriers_.by_id(timer.owner);
  Responding* r = q ? nullptr : responders_.by_id(timer.owner);
  Association* a = association(AssociationId(timer.owner));
  switch (static_cast<Timer>(timer.kind)) {
    case Timer::kNoResponse: {
      if (!q) return;
      const Handshake& h = *q->handshake;
      if (h.expects_end_host) return querying_event(*q, QueryingEvent::kEndpointReached, now);
      const bool over = h.sent >= config_.max_queries || (h.give_up && now >= *h.give_up);
      return querying_event(*q, over ? QueryingEvent::kNoResponseLimit : QueryingEvent::kNoResponse, now);
    }
    case Timer::kRefresh: {
      if (!q) return;
      // 4.4.4: no refresh once the state towards the other side has expired.
      const RoutingKey other{inverted(q->key.mri), q->key.session, q->key.nslp};
      const bool orphan = q->had_upstream && !responders_.find(other);
      return querying_event(*q, orphan ? QueryingEvent::kInactive : QueryingEvent::kRefresh, now);
    }
    case Timer::kInactive:
      if (!q) return;
      if (now < q->inactive_at) return set_timer(q->id, Timer::kInactive, q->inactive_at);
      return querying_event(*q, QueryingEvent::kInactive, now);
    case Timer::kNoConfirm:
      if (r) responding_event(*r, RespondingEvent::kNoConfirm, now);
      return;
    case Timer::kExpire:
      if (r) responding_event(*r, RespondingEvent::kExpire, now);
      return;
    case Timer::kSendHello:
      if (a) association_event(*a, AssociationEvent::kSendHelloTimer, now);
      return;
    case Timer::kNoHello:
      if (a) association_event(*a, AssociationEvent::kNoHelloTimer, now);
      return;
    case Timer::kConnect:
      if (!a) return;
      if (a->state == AssociationState::kAwaitingConnection)
        out_.push_back(CloseAssociation{a->id}), association_event(*a, AssociationEvent::kConnectFailed, now);
      else if (!a->peer_known)
        tear_down(a->id, now);  // accepted, but no Confirm came
      return;
    case Timer::kSendQueue: return release_send_queue(now);
    case Timer::kAnswer: {
      const std::optional<ReceivedQuery> query = take_pending(QueryTicket(timer.owner));
      if (query) pass_query(query->datagram, query->message.header, {}, now, &query->message);
      return;
      return;
    }
  }
}

Nli Core::own_nli(const IpAddress& address, std::uint8_t ttl) const {
  Nli nli;
  nli.ip_ttl = ttl;
  nli.validity = validity();
  nli.peer_identity = config_.peer_identity;
  nli.interface_address = address;
  return nli;
}

// 4.4.4: longer when refreshing all states would stress the rate limit. A refresh comes after half of it at the
// earliest and costs a querier two datagrams, its Query and its Confirm; half of the rate is for all else.
Milliseconds Core::validity() const {
  const double states = static_cast<double>(queriers_.size() + responders_.size());
  const double needed = 1000 * 2 * 2 * 2 * states / config_.send_rate;
  return std::max(config_.validity, Milliseconds(static_cast<std::uint32_t>(std::min(needed, 4e9))));
}

// Not more often than once a second on a peer's word alone.
Duration Core::period_within(Milliseconds lifetime, Milliseconds own) {
  std::array<std::byte, 4> bytes;
  crypto_.fill(bytes);
  const double unit = ByteReader(bytes).u32() / 4294967296.0;
  const auto of = static_cast<double>(std::chrono::duration_cast<Duration>(lifetime).count());
  const Duration least = std::min<Duration>(std::chrono::seconds(1), std::chrono::duration_cast<Duration>(own) / 2);
  return std::max(least, Duration(static_cast<Duration::rep>(of * (0.5 + 0.25 * unit))));
}

// The oldest unconfirmed state makes room in a full table. False if all of it is confirmed.
bool Core::room_for_state(TimePoint now) {
  if (!states_full()) return true;
  if (unconfirmed_.empty()) return false;
  destroy(*responders_.by_id(*unconfirmed_.begin()), now);
  return true;
}

// Whether `peer` may hold none but `one`, if that is its own.
bool Core::has_its_share(const IpAddress& peer, NslpId nslp, const Responding* one) {
  if (!shares_.used_up(peer)) return false;
  const Peer* holder = one ? peers_.find(one->sii) : nullptr;
  if (holder && PeerShares::same(holder->address, peer)) return false;
  event(Event::Type::kShareUsedUp, nslp, peer, "");
  return true;
}

// 5.8.1.3: of two entries for one key, the one that a downstream Query installed counts.
Core::Holder Core::state_for_sending(const RoutingKey& key) {
  const Holder found{queriers_.find(key), responders_.find(key)};
  if (!found.querying || !found.responding) return found;
  const bool downstream = direction_of(key.mri) == Direction::kDownstream;
  return downstream ? Holder{found.querying, nullptr} : Holder{nullptr, found.responding};
}

const Querying* Core::find_querying(const RoutingKey& key) const {
  return queriers_.find(key);
}
const Responding* Core::find_responding(const RoutingKey& key) const {
  return responders_.find(key);
}
const Association* Core::find_association(AssociationId id) const {
  const auto it = associations_.find(id);
  return it == associations_.end() ? nullptr : it->second.get();
}

}  // namespace netserv::gist
