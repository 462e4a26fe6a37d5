#include "gist/core.h"

#include <algorithm>

namespace netserv::gist {

Core::Core(Config config, Crypto& crypto, const Network& network, const PeerAuthority& authority)
    : config_(std::move(config)),
      crypto_(crypto),
      network_(network),
      authority_(authority),
      peers_(config_.max_peers),
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
  const auto node = pending_.extract(ticket);
  if (node.empty()) return take();
  cancel_timer(ticket.value(), Timer::kAnswer);
  ReceivedQuery& query = node.mapped();
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
    for (const auto& [id, q] : queriers_by_id_)
      if (applies(*q)) ids.push_back(id);
    for (const auto& [id, r] : responders_by_id_)
      if (applies(*r)) ids.push_back(id);
    std::sort(ids.begin(), ids.end());
  }
  for (std::uint64_t id : ids) {
    if (const auto q = queriers_by_id_.find(id); q != queriers_by_id_.end()) {
      if (request.lifetime <= Duration::zero()) {
        querying_event(*q->second, QueryingEvent::kInactive, now);
      } else {
        q->second->inactivity = request.lifetime;
        set_timer(id, Timer::kInactive, now + request.lifetime);
      }
    } else if (const auto r = responders_by_id_.find(id); r != responders_by_id_.end()) {
      if (request.lifetime <= Duration::zero()) responding_event(*r->second, RespondingEvent::kReleased, now);
    }
  }
  return take();
}

Outputs Core::invalidate_routing_state(const InvalidateRoutingState& request, TimePoint now) {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, q] : queriers_by_id_)
    if (q->key.mri == request.mri && (!request.nslp || *request.nslp == q->key.nslp)) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  for (std::uint64_t id : ids) {
    Querying& q = *queriers_by_id_.at(id);
    q.invalidation_data = request.data;
    q.status = request.status;  // the application knows: no notification (7.1.3)
    const auto event =
        request.status == RouteStatus::kBad ? QueryingEvent::kStatusBad : QueryingEvent::kStatusTentative;
    if (request.urgent) {
      querying_event(q, event, now);
    } else {
      q.handshake_due = true;
    }
  }
  for (const auto& [id, r] : responders_by_id_)
    if (r->key.mri == request.mri && (!request.nslp || *request.nslp == r->key.nslp)) r->status = request.status;
  return take();
}

Outputs Core::route_changed(const Prefix& destinations, TimePoint now) {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, q] : queriers_by_id_) {
    const bool down = direction_of(q->key.mri) == Direction::kDownstream;
    const IpAddress& towards = down ? destination_of(q->key.mri) : source_of(q->key.mri);
    if (destinations.contains(towards)) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  for (std::uint64_t id : ids) {
    Querying& q = *queriers_by_id_.at(id);
    // 7.1.3, option 1: the forwarding table may say that nothing changed for this flow.
    if (egress_for(q.key.mri) == q.egress) continue;
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
  const auto querier = queriers_by_id_.find(timer.owner);
  const auto responder = responders_by_id_.find(timer.owner);
  Querying* q = querier == queriers_by_id_.end() ? nullptr : querier->second;
  Responding* r = responder == responders_by_id_.end() ? nullptr : responder->second;
  Association* a = association(AssociationId(timer.owner));
  switch (static_cast<Timer>(timer.kind)) {
    case Timer::kNoResponse: {
      if (!q) return;
      const bool over = q->sent >= config_.max_queries || (q->give_up && now >= *q->give_up);
      return querying_event(*q, over ? QueryingEvent::kNoResponseLimit : QueryingEvent::kNoResponse, now);
    }
    case Timer::kRefresh: {
      if (!q) return;
      // 4.4.4: no refresh once the state towards the other side has expired.
      const RoutingKey other{inverted(q->key.mri), q->key.session, q->key.nslp};
      const bool orphan = q->had_upstream && !responders_.contains(other);
      return querying_event(*q, orphan ? QueryingEvent::kInactive : QueryingEvent::kRefresh, now);
    }
    case Timer::kInactive:
      if (q) querying_event(*q, QueryingEvent::kInactive, now);
      return;
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
      const auto node = pending_.extract(QueryTicket(timer.owner));
      if (node.empty()) return;
      const ReceivedQuery& query = node.mapped();
      return pass_query(query.datagram, query.message.header, {}, now, &query.message);
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
// earliest and costs a querier two datagrams, its Query and its Confirm.
Milliseconds Core::validity() const {
  const double states = static_cast<double>(queriers_.size() + responders_.size());
  const double needed = 1000 * 2 * 2 * states / config_.send_rate;
  return std::max(config_.validity, Milliseconds(static_cast<std::uint32_t>(std::min(needed, 4e9))));
}

Duration Core::random_part(Duration of) {
  std::array<std::byte, 4> bytes;
  crypto_.fill(bytes);
  const double unit = ByteReader(bytes).u32() / 4294967296.0;
  return Duration(static_cast<Duration::rep>(static_cast<double>(of.count()) * (0.5 + 0.25 * unit)));
}

// 5.8.1.3: of two entries for one key, the one that a downstream Query installed counts.
Core::Holder Core::state_for_sending(const RoutingKey& key) {
  const auto q = queriers_.find(key);
  const auto r = responders_.find(key);
  Holder found{q == queriers_.end() ? nullptr : q->second.get(), r == responders_.end() ? nullptr : r->second.get()};
  if (!found.querying || !found.responding) return found;
  const bool downstream = direction_of(key.mri) == Direction::kDownstream;
  return downstream ? Holder{found.querying, nullptr} : Holder{nullptr, found.responding};
}

const Querying* Core::find_querying(const RoutingKey& key) const {
  const auto it = queriers_.find(key);
  return it == queriers_.end() ? nullptr : it->second.get();
}
const Responding* Core::find_responding(const RoutingKey& key) const {
  const auto it = responders_.find(key);
  return it == responders_.end() ? nullptr : it->second.get();
}
const Association* Core::find_association(AssociationId id) const {
  const auto it = associations_.find(id);
  return it == associations_.end() ? nullptr : it->second.get();
}

}  // namespace netserv::gist
