// What the exchange's state machine asks for.
#include <algorithm>
#include <limits>

#include "nslp/core.h"
#include "wire/ncm/status.h"

namespace netserv::nslp {
namespace {

Microseconds microseconds(Duration d) {
  const auto count = std::chrono::duration_cast<std::chrono::microseconds>(d).count();
  return Microseconds(static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(count, 0, std::numeric_limits<std::uint32_t>::max())));
}

}  // namespace

void Core::event(Exchange& e, ExchangeEvent event, TimePoint now) {
  const auto& step = kExchangeMachine.step(e.state, event);
  if (!step.handled) return;
  e.state = step.next;  // before the actions: they can bring the next event
  for (ExchangeAction action : step.actions) perform(e, action, now);
}

void Core::perform(Exchange& e, ExchangeAction action, TimePoint now) {
  switch (action) {
    case ExchangeAction::kAct: return act(e, now);
    case ExchangeAction::kForward: return forward(e, now);
    case ExchangeAction::kStartRetransmission:
      if (e.sent_at == TimePoint{}) e.sent_at = now;
      e.back_off = e.back_off.count() == 0 ? config_.first_retransmission
                                           : std::min(2 * e.back_off, config_.max_retransmission);
      return set_timer(e, Timer::kRetransmit, now + e.back_off);
    case ExchangeAction::kTakeStack:
      cancel_timer(e, Timer::kRetransmit);
      if (e.sent_at != TimePoint{}) e.wait = microseconds(now - e.sent_at);
      return;
    case ExchangeAction::kNoteOwnTimeout:
      e.own = own_entry(ncm::StatusCode::kNoAnswer, "-",
                        e.request.trigger ? "the upstream flow did not answer in time" : "the node's controller did not answer in time");
      return;
    case ExchangeAction::kNotePathTimeout:
      note(Event::Type::kPathTimeout, e.key.session, "no answer from the next node");
      e.beyond.push_back(unknown_entry(ncm::StatusCode::kNoAnswer, "no answer from beyond this point"));
      return;
    case ExchangeAction::kNotePathFailed:
      e.beyond.push_back(unknown_entry(ncm::StatusCode::kPathFailed,
                                       e.path_failure.empty() ? "the message could not be passed on" : e.path_failure));
      return;
    case ExchangeAction::kRespond: return respond(e, now);
    case ExchangeAction::kRepeat: return send_response(e, now);
    case ExchangeAction::kRelease: return release(e);
    case ExchangeAction::kCount: return;
  }
}

void Core::act(Exchange& e, TimePoint now) {
  if (e.request.trigger) return open_upstream(e, now);
  if (asked_.size() >= config_.max_asked) {
    e.own = own_entry(ncm::StatusCode::kOverloaded, "-", "too many requests wait for the node's controller");
    return event(e, ExchangeEvent::kOwnDone, now);
  }
  const ControllerTicket ticket(++last_id_);
  asked_[ticket.value()] = e.id;
  e.asked = ticket;
  out_.push_back(AskController{ticket, e.request.ncm});
}

// The way back to the sender: the new flow leads to the source of the flow that the TRIGGER came along, never
// elsewhere, and there is one for each session, so that this node can't be made to send to others.
void Core::open_upstream(Exchange& e, TimePoint now) {
  const IpAddress source = source_of(e.key.mri);
  const bool from_here = std::count(config_.local.begin(), config_.local.end(), source) > 0;
  if (from_here || (!e.upstream && upstream_flows_ >= config_.max_upstream_flows)) {
    e.own = own_entry(ncm::StatusCode::kTriggerRefused, "-", from_here ? "the sender is this node" : "too many upstream flows");
    return event(e, ExchangeEvent::kOwnDone, now);
  }
  if (!e.upstream) {
    e.upstream = FlowKey{sessions_.new_session(), flow(destination_of(e.key.mri), source)};
    ++upstream_flows_;
  }
  const std::uint64_t parent = e.id;
  Exchange& child = create(*e.upstream, RequestFrom::kTrigger, now);
  child.parent = parent;
  child.request = e.request;
  child.request.trigger = false;
  child.request.acted = 0;
  child.deadline = e.deadline - config_.hop_margin;
  begin(child, now);
}

void Core::forward(Exchange& e, TimePoint now) {
  const Duration left = e.deadline - now - config_.hop_margin;
  if (left < std::chrono::milliseconds(1)) return event(e, ExchangeEvent::kDeadline, now);
  Request request = e.request;
  if (e.acted && request.acted < 255) ++request.acted;
  request.time_left = std::chrono::duration_cast<std::chrono::milliseconds>(left);
  auto data = encode(request);
  if (!data) return event(e, ExchangeEvent::kSendFailed, now);
  if (!e.forwarded) e.reliable = data->size() > config_.reliable_above || e.request.ncm.verb == ncm::Verb::kProbe;
  if (e.sent_at != TimePoint{}) e.reliable = true;
  e.forwarded = true;

  std::vector<Bytes> parts = split(std::move(*data), request.id);
  gist::SendMessage send;
  send.nslp = config_.nslp;
  send.session = e.key.session;
  send.mri = e.key.mri;
  send.attributes.reliable = e.reliable || parts.size() > 1;
  send.attributes.secure = config_.secure;
  send.attributes.in_query = false;  // what a stranger asks for is looked at once the path back is known
  send.timeout = std::min(config_.last_node_timeout, left / 2);
  for (Bytes& part : std::span(parts).first(parts.size() - 1)) {
    send.data = std::move(part);
    out_.push_back(send);
  }
  // What became of the last part says it of all.
  send.data = std::move(parts.back());
  send.handle = gist::MessageHandle(++last_id_);
  sent_.erase(e.forward_handle.value());
  e.forward_handle = send.handle;
  sent_[send.handle.value()] = {e.id, false};
  out_.push_back(std::move(send));
}

void Core::respond(Exchange& e, TimePoint now) {
  cancel_timer(e, Timer::kRetransmit);
  cancel_timer(e, Timer::kDeadline);
  set_timer(e, Timer::kForget, now + config_.keep);
  e.response.id = e.request.id;
  e.response.foreign = e.foreign;
  e.response.stack = std::move(e.beyond);
  if (e.own) {
    e.own->residence = microseconds(now - e.arrived);
    e.own->wait = e.wait;
    e.response.stack.insert(e.response.stack.begin(), *e.own);
  }
  shrink(e.response, kMaxPayload);
  note(Event::Type::kAnswered, e.key.session, e.request.ncm.object);
  switch (e.from) {
    case RequestFrom::kPeer: return send_response(e, now);
    case RequestFrom::kClient: out_.push_back(Finished{e.client, e.response.stack, e.wait}); return;
    case RequestFrom::kTrigger:
      if (Exchange* parent = by_id(e.parent); parent && parent->state != ExchangeState::kAnswered) {
        parent->beyond = e.response.stack;
        event(*parent, ExchangeEvent::kOwnDone, now);
      }
      return;
  }
}

void Core::send_response(Exchange& e, TimePoint) {
  auto data = encode(e.response);
  if (data) hold(e, size_of(e.request.ncm) + data->size());
  if (!data) return note(Event::Type::kDropped, e.key.session, data.error().message());
  gist::SendMessage send;
  send.data = std::move(*data);
  send.handle = gist::MessageHandle(++last_id_);
  send.nslp = config_.nslp;
  send.session = e.key.session;
  send.mri = gist::inverted(e.key.mri);
  send.attributes.reliable = send.data.size() > config_.datagram_answer;
  send.attributes.secure = config_.secure;
  send.attributes.in_query = false;
  sent_.erase(e.response_handle.value());
  e.response_handle = send.handle;
  sent_[send.handle.value()] = {e.id, true};
  out_.push_back(std::move(send));
}

void Core::release(Exchange& e) {
  if (!e.forwarded) return;
  out_.push_back(gist::SetStateLifetime{config_.nslp, e.key.mri, e.key.session, Duration{}});
}

Entry Core::own_entry(ncm::StatusCode code, std::string object, std::string text) const {
  ncm::Response r;
  r.code = code;
  r.object = std::move(object);
  r.text = std::move(text);
  return to_entry(r, config_.node, config_.address);
}

Entry Core::unknown_entry(ncm::StatusCode code, std::string text) {
  ncm::Response r;
  r.code = code;
  r.object = "-";
  r.text = std::move(text);
  return to_entry(r, "unknown", {});
}

}  // namespace netserv::nslp
