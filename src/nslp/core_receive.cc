// Messages in: what GIST delivers, and what a request means for this node.
#include <algorithm>

#include "nslp/core.h"
#include "wire/ncm/status.h"

namespace netserv::nslp {
namespace {

bool names_hosts(const gist::Mri& mri) {
  const auto* path = std::get_if<gist::PathCoupledMri>(&mri);
  return path && path->source_prefix == path->source.bits() && path->destination_prefix == path->destination.bits();
}

bool has_value(const ncm::Message& ncm, std::string_view name) {
  const std::string* value = ncm.find(name);
  return value && !value->empty();
}

}  // namespace

Outputs Core::received(const gist::RecvMessage& message, TimePoint now) {
  const bool here = std::count(config_.local.begin(), config_.local.end(), destination_of(message.mri)) > 0;
  if (message.check) {
    // A host that runs no modules stays out of others' paths, but ends its own (RFC 5971, 4.3.2).
    out_.push_back(AnswerQuery{*message.check, config_.hosts_modules || here});
    // Its payload, if any, comes again over a path that is known to lead back.
    return take();
  }
  if (message.data.empty()) return take();
  if (!message.attributes.state_validated) {
    note(Event::Type::kDropped, message.session, "a message outside routing state");
    return take();
  }
  const bool downstream = direction_of(message.mri) == gist::Direction::kDownstream;
  std::optional<Bytes> whole;
  if (is_part(message.data) && downstream) {
    whole = put_together(message, now);
    if (!whole) return take();
  }
  auto decoded = decode(whole ? *whole : message.data);
  if (!decoded) {
    note(Event::Type::kDropped, message.session, decoded.error().message());
    return take();
  }
  const bool request = std::holds_alternative<Request>(*decoded);
  if (request != downstream || !std::holds_alternative<gist::PathCoupledMri>(message.mri)) {
    note(Event::Type::kDropped, message.session, "a message in the wrong direction or of another routing method");
    return take();
  }
  if (request) receive_request(std::get<Request>(std::move(*decoded)), message, now);
  else receive_response(std::get<Response>(std::move(*decoded)), message, now);
  return take();
}

// The message of which this was the last part that was missing.
std::optional<Bytes> Core::put_together(const gist::RecvMessage& message, TimePoint now) {
  auto part = decode_part(message.data);
  if (!part) {
    note(Event::Type::kDropped, message.session, part.error().message());
    return std::nullopt;
  }
  const FlowKey key{message.session, message.mri};
  std::erase_if(incoming_, [&](const auto& i) { return i.second.since + config_.max_time < now; });
  if (!incoming_.contains(key) && incoming_.size() >= config_.max_incoming)
    incoming_.erase(std::min_element(incoming_.begin(), incoming_.end(),
                                     [](const auto& a, const auto& b) { return a.second.since < b.second.since; }));
  const auto [it, began] = incoming_.try_emplace(key);
  if (began) it->second.since = now;
  auto whole = it->second.assembly.add(*std::move(part));
  if (whole) incoming_.erase(it);
  return whole;
}

void Core::receive_request(Request request, const gist::RecvMessage& message, TimePoint now) {
  const FlowKey key{message.session, message.mri};
  if (Exchange* known = by_key(key)) {
    if (known->from != RequestFrom::kPeer) return note(Event::Type::kDropped, key.session, "a request of our own came back");
    if (known->request.id == request.id) {
      const bool same = known->request.ncm == request.ncm && known->request.trigger == request.trigger;
      if (!same) return note(Event::Type::kDropped, key.session, "another request under the same number");
      return event(*known, ExchangeEvent::kDuplicate, now);
    }
    if (static_cast<std::int32_t>(request.id - known->request.id) < 0)
      return note(Event::Type::kDropped, key.session, "an older request");
  } else if (!room_for_peers(request)) {
    Response response{request.id, {own_entry(ncm::StatusCode::kOverloaded, "-", "too many sessions")}, {}};
    gist::SendMessage send;
    send.data = encode(response).value();
    send.nslp = config_.nslp;
    send.session = key.session;
    send.mri = gist::inverted(key.mri);
    out_.push_back(std::move(send));
    return note(Event::Type::kRefused, key.session, "too many sessions");
  }
  Exchange& e = create(key, RequestFrom::kPeer, now);
  e.request = std::move(request);
  hold(e, size_of(e.request.ncm));
  e.deadline = now + std::min<Duration>(e.request.time_left, config_.max_time);
  begin(e, now);
}

void Core::receive_response(Response response, const gist::RecvMessage& message, TimePoint now) {
  Exchange* e = by_key({message.session, gist::inverted(message.mri)});
  if (!e || e->request.id != response.id) return note(Event::Type::kDropped, message.session, "a response to nothing");
  if (!kExchangeMachine.step(e->state, ExchangeEvent::kResponse).handled) return;  // it was there before
  e->beyond = std::move(response.stack);
  e->foreign = std::move(response.foreign);
  // Only a host that runs no modules is beyond: this is the last node that can act.
  if (e->beyond.empty() && !e->request.trigger) return last_node(*e, now);
  event(*e, ExchangeEvent::kResponse, now);
}

// What this node can see is wrong without knowing policy.
Status Core::judge(const Exchange& e, ncm::Selection& selection) const {
  using ncm::StatusCode;
  const ncm::Message& ncm = e.request.ncm;
  if (!names_hosts(e.key.mri)) return ncm::refuse(StatusCode::kWrongPath, "flow", "must be between two addresses");
  const bool is_signed = has_value(ncm, "signature");
  if (e.request.trigger && !is_signed && e.from != RequestFrom::kClient)
    return ncm::refuse(StatusCode::kMissingHeader, "signature", "is needed in a request that is to be turned round");
  const IpAddress& end = e.request.trigger ? source_of(e.key.mri) : destination_of(e.key.mri);
  if (has_value(ncm, "toward")) {
    const auto toward = IpAddress::parse(*ncm.find("toward"));
    if (!toward) return ncm::refuse(StatusCode::kBadValue, "toward", "is no IP address");
    // Behind a NAT the flow's end is translated, and what was signed is not.
    if (*toward != end && std::count(config_.outside.begin(), config_.outside.end(), *toward) == 0)
      return ncm::refuse(StatusCode::kWrongPath, "toward", "is not " + end.to_string() + ", where this path leads");
  } else if (config_.require_toward && is_signed) {
    return ncm::refuse(StatusCode::kMissingHeader, "toward", "is needed in a signed message along a path");
  }
  const std::string* nodes = ncm.find("nodes");
  NETSERV_ASSIGN(selection, ncm::parse_selection(nodes ? *nodes : ""));
  return {};
}

bool Core::selected(const ncm::Selection& selection, const Exchange& e) const {
  switch (selection.mode) {
    case ncm::SelectionMode::kAll:
    case ncm::SelectionMode::kMatching: return true;
    case ncm::SelectionMode::kLast: return false;
    case ncm::SelectionMode::kFirst: return e.request.acted < selection.first;
    case ncm::SelectionMode::kList: break;
  }
  return std::any_of(selection.nodes.begin(), selection.nodes.end(), [&](const std::string& name) {
    if (name == config_.node) return true;
    const auto address = IpAddress::parse(name);
    return address && std::count(config_.local.begin(), config_.local.end(), *address) > 0;
  });
}

// At the end of the way: a TRIGGER is to be turned round, and nodes:last means this node.
bool Core::acts_as_last(const Exchange& e) const {
  if (e.from == RequestFrom::kClient) return false;
  return e.request.trigger || (config_.hosts_modules && e.selection.mode == ncm::SelectionMode::kLast);
}

void Core::begin(Exchange& e, TimePoint now) {
  set_timer(e, Timer::kDeadline, e.deadline);
  if (Status sound = judge(e, e.selection); !sound)
    return refuse(e, ncm::status_of(sound.error()), sound.error().subject, sound.error().text, now);
  const bool takes_part = config_.hosts_modules && e.from != RequestFrom::kClient && !e.request.trigger;
  if (!takes_part) return event(e, ExchangeEvent::kPasses, now);
  if (!selected(e.selection, e)) {
    e.own = own_entry(ncm::StatusCode::kNotSelected, e.request.ncm.object, "passed on");
    return event(e, ExchangeEvent::kPasses, now);
  }
  const bool counts = e.selection.mode == ncm::SelectionMode::kFirst;
  event(e, counts ? ExchangeEvent::kActsFirst : ExchangeEvent::kActs, now);
}

void Core::refuse(Exchange& e, ncm::StatusCode code, std::string object, std::string text, TimePoint now) {
  note(Event::Type::kRefused, e.key.session, object + ": " + text);
  e.own = own_entry(code, std::move(object), std::move(text));
  event(e, ExchangeEvent::kRefused, now);
}

}  // namespace netserv::nslp
