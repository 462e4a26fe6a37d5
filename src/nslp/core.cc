#include "nslp/core.h"

#include <fmt/format.h>

#include <algorithm>

#include "wire/ncm/status.h"

namespace netserv::nslp {
namespace {

// Requests of one session grow by serial numbers; the clock makes them grow over a restart of the sender too.
std::uint32_t next_request_id(const Exchange* last, TimePoint now) {
  const auto clock = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count());
  if (!last || static_cast<std::int32_t>(clock - last->request.id) > 0) return clock;
  return last->request.id + 1;
}

// Why GIST did not send a request, in words for whoever sent it.
std::string reason_of(const gist::MessageStatus& status) {
  using gist::SendError;
  switch (status.error) {
    case SendError::kRefused:
      if (status.gist_code == 9 && status.gist_subcode == 4)  // Untranslated Object (RFC 5971, 7.2.1)
        return "there is a NAT before the next node that does not translate signalling (gistd --nat would)";
      return fmt::format("the next node refused it with GIST error {}/{}", status.gist_code, status.gist_subcode);
    case SendError::kUnreachable: return "there is no route to the next node";
    case SendError::kNoAssociation: return "the next node has no association that would do for it";
    case SendError::kTooLarge: return "it is too large for the next node";
    default: return fmt::format("it could not be passed on: {}", to_string(status.error));
  }
}

}  // namespace

gist::Mri flow(const IpAddress& source, const IpAddress& destination) {
  gist::PathCoupledMri mri;
  mri.source = source;
  mri.destination = destination;
  mri.source_prefix = mri.destination_prefix = static_cast<std::uint8_t>(source.bits());
  return mri;
}

const Exchange* Core::find(const FlowKey& key) const {
  const auto it = ids_.find(key);
  return it == ids_.end() ? nullptr : exchanges_.at(it->second).get();
}

Exchange* Core::by_key(const FlowKey& key) {
  const auto it = ids_.find(key);
  return it == ids_.end() ? nullptr : by_id(it->second);
}

Exchange* Core::by_id(std::uint64_t id) {
  const auto it = exchanges_.find(id);
  return it == exchanges_.end() ? nullptr : it->second.get();
}

// Takes the place of an older one of the same flow; the upstream flow of a TRIGGER session stays the same.
Exchange& Core::create(FlowKey key, RequestFrom from, TimePoint now) {
  std::optional<FlowKey> upstream;
  if (Exchange* old = by_key(key)) {
    upstream = std::exchange(old->upstream, std::nullopt);
    erase(old->id);
  }
  auto made = std::make_unique<Exchange>();
  made->id = ++last_id_;
  made->key = key;
  made->from = from;
  made->arrived = now;
  made->upstream = upstream;
  ids_[key] = made->id;
  return *(exchanges_[made->id] = std::move(made));
}

void Core::erase(std::uint64_t id) {
  Exchange* e = by_id(id);
  if (!e) return;
  for (Timer kind : {Timer::kRetransmit, Timer::kDeadline, Timer::kForget}) cancel_timer(*e, kind);
  sent_.erase(e->forward_handle.value());
  sent_.erase(e->response_handle.value());
  asked_.erase(e->asked.value());
  hold(*e, 0);
  const std::optional<FlowKey> upstream = e->upstream;
  ids_.erase(e->key);
  exchanges_.erase(id);
  if (!upstream) return;
  --upstream_flows_;
  if (Exchange* child = by_key(*upstream)) {
    release(*child);
    erase(child->id);
  }
}

// Strangers leave an eighth of the sessions to local programs, and what they make this node remember is bounded.
bool Core::room_for_peers(const Request& request) const {
  return exchanges_.size() < config_.max_sessions - config_.max_sessions / 8 &&
         held_ + size_of(request.ncm) <= config_.max_held;
}

void Core::hold(Exchange& e, std::size_t bytes) {
  held_ += bytes;
  held_ -= std::exchange(e.held, bytes);
}

void Core::note(Event::Type type, const gist::SessionId& session, std::string text) {
  out_.push_back(Event{type, session, std::move(text)});
}

Outputs Core::status(const gist::MessageStatus& status, TimePoint now) {
  const auto it = sent_.find(status.handle.value());
  if (it == sent_.end()) return take();
  const Sent sent = it->second;
  sent_.erase(it);
  Exchange* e = by_id(sent.exchange);
  if (!e) return take();
  using gist::SendError;
  const bool unfit = status.error == SendError::kNoAssociation || status.error == SendError::kTooLarge;
  if (sent.response) {
    // There is no association back to the querier, and this side can't open one: words are left out, but no nodes. If
    // that is not enough, the querier's retransmission comes over an association.
    Response shorter = e->response;
    shrink(shorter, config_.datagram_answer);
    if (unfit && shorter != e->response && shorter.stack.size() == e->response.stack.size()) {
      e->response = std::move(shorter);
      send_response(*e, now);
    }
    return take();
  }
  switch (status.error) {
    case SendError::kNone:
    case SendError::kLost:      // retransmission will tell
    case SendError::kOverload:  // as well
      event(*e, ExchangeEvent::kSent, now);
      break;
    case SendError::kNoNextNode:
    case SendError::kIsDestination:
    case SendError::kTimeout:
      last_node(*e, now);
      break;
    case SendError::kRefused:
      if (status.gist_code == 7) last_node(*e, now);  // Endpoint Found (RFC 5971, 4.3.4)
      else send_failed(*e, status, now);
      break;
    default:
      if (unfit && e->reliable && !config_.secure) {
        e->reliable = false;
        event(*e, ExchangeEvent::kSendAgain, now);
      } else {
        send_failed(*e, status, now);
      }
  }
  return take();
}

void Core::send_failed(Exchange& e, const gist::MessageStatus& status, TimePoint now) {
  e.path_failure = reason_of(status);
  event(e, ExchangeEvent::kSendFailed, now);
}

void Core::last_node(Exchange& e, TimePoint now) {
  const bool acts = acts_as_last(e) && kExchangeMachine.step(e.state, ExchangeEvent::kLastNodeActs).handled;
  event(e, acts ? ExchangeEvent::kLastNodeActs : ExchangeEvent::kLastNode, now);
}

Outputs Core::notified(const gist::NetworkNotification& n, TimePoint now) {
  if (n.type == gist::NetworkNotification::Type::kLastNode)
    if (Exchange* e = by_key({n.session, n.mri})) last_node(*e, now);
  return take();
}

Outputs Core::gist_back(TimePoint now) {
  sent_.clear();
  std::vector<std::uint64_t> ids;
  for (const auto& [id, e] : exchanges_) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  for (std::uint64_t id : ids)
    if (Exchange* e = by_id(id)) event(*e, ExchangeEvent::kSendAgain, now);
  return take();
}

Outputs Core::controller_answered(ControllerTicket ticket, const ncm::Response& response, TimePoint now) {
  const auto it = asked_.find(ticket.value());
  if (it == asked_.end()) return take();
  Exchange* e = by_id(it->second);
  asked_.erase(it);
  if (!e || e->state == ExchangeState::kAnswered) return take();
  e->own = to_entry(response, config_.node, config_.address);
  e->asked = {};
  e->acted = !ncm::is_failure(response.code);
  const bool unsuited = e->selection.mode == ncm::SelectionMode::kMatching &&
                        response.code == ncm::StatusCode::kDependencyMissing;
  if (unsuited) e->own->code = ncm::StatusCode::kNotSelected;
  event(*e, ExchangeEvent::kOwnDone, now);
  return take();
}

Result<Outputs> Core::start(const Start& s, TimePoint now) {
  if (s.source.is_v4() != s.destination.is_v4())
    return fail(Origin::kPublisher, "destination", "and source are of different address families");
  const FlowKey key{s.session, flow(s.source, s.destination)};
  const Exchange* old = find(key);
  if (old && old->from != RequestFrom::kClient) return fail(Origin::kPublisher, "session", "belongs to another node");
  if (!old && exchanges_.size() >= config_.max_sessions)
    return fail(Origin::kSystem, "session", "too many sessions are open", ncm::number(ncm::StatusCode::kOverloaded));

  Exchange draft;
  draft.key = key;
  draft.from = RequestFrom::kClient;
  draft.request.trigger = s.trigger;
  draft.request.id = next_request_id(old, now);
  draft.request.ncm = s.ncm;
  draft.request.time_left = std::chrono::duration_cast<std::chrono::milliseconds>(std::min(s.timeout, config_.max_time));
  NETSERV_TRY(judge(draft, draft.selection));
  NETSERV_TRY(encode(draft.request));

  if (old && old->state != ExchangeState::kAnswered)
    out_.push_back(Finished{old->client, {unknown_entry(ncm::StatusCode::kNoAnswer, "a newer request took its place")}, {}});
  Exchange& e = create(key, RequestFrom::kClient, now);
  e.client = s.ticket;
  e.request = std::move(draft.request);
  e.deadline = now + e.request.time_left;
  begin(e, now);
  return take();
}

Outputs Core::end_session(const gist::SessionId& session, TimePoint) {
  std::vector<std::uint64_t> ended;
  for (const auto& [key, id] : ids_)
    if (key.session == session && by_id(id)->from == RequestFrom::kClient) ended.push_back(id);
  for (std::uint64_t id : ended) {
    release(*by_id(id));
    erase(id);
  }
  return take();
}

Outputs Core::on_time(TimePoint now) {
  while (const auto timer = timers_.pop(now)) {
    Exchange* e = by_id(timer->owner);
    if (!e) continue;
    switch (static_cast<Timer>(timer->kind)) {
      case Timer::kRetransmit: event(*e, ExchangeEvent::kRetransmit, now); break;
      case Timer::kDeadline: event(*e, ExchangeEvent::kDeadline, now); break;
      case Timer::kForget:
        event(*e, ExchangeEvent::kForget, now);
        erase(timer->owner);
        break;
    }
  }
  return take();
}

}  // namespace netserv::nslp
