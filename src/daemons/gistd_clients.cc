// Signalling applications at gistd's API socket.
#include <algorithm>

#include "base/log.h"
#include "daemons/gistd_service.h"
#include "sys/clock.h"

namespace netserv::daemons {
namespace {

constexpr std::size_t kMaxClients = 256;
constexpr std::size_t kMaxSessions = 65536;
constexpr std::size_t kMaxTickets = 8192;
// Above the application's handle stands its number, so that answers find their way without a table.
constexpr unsigned kHandleBits = 40;

}  // namespace

void GistdService::accept_client() {
  auto fd = sys::accept_connection(parts_.api_listener.get());
  if (!fd || !*fd || clients_.size() >= kMaxClients) return;
  const std::uint64_t id = ++last_client_;
  Client& client = clients_[id];
  client.channel = sys::Channel(*std::move(fd));
  client.readable = loop_.on_io(client.channel.fd(), EPOLLIN, [this, id](std::uint32_t) { on_client(id); });
}

void GistdService::on_client(std::uint64_t id) {
  sys::Datagram message;
  for (int i = 0; i < 64; ++i) {
    const auto it = clients_.find(id);
    if (it == clients_.end()) return;
    const auto got = it->second.channel.receive(message, transport::kMaxApiMessage);
    if (!got) return drop_client(id, got.error().message());
    if (*got == sys::Channel::Received::kClosed) return drop_client(id, "closed");
    if (*got == sys::Channel::Received::kNothing) return;
    auto request = transport::decode_request(message.bytes);
    const Status handled = request ? handle(id, *std::move(request)) : Status(fail(request.error()));
    if (!handled) return drop_client(id, handled.error().message());
  }
}

// Routing state stays: it expires by itself if the application does not come back.
void GistdService::drop_client(std::uint64_t id, std::string_view why) {
  const auto it = clients_.find(id);
  if (it == clients_.end()) return;
  log_info({.name = "api"}, "application {} left: {}", id, why);
  if (const auto& registration = it->second.registration) {
    Nslp& nslp = nslps_[registration->nslp];
    if (nslp.owner == id) nslp.owner = 0;
    nslp.sharers.erase(id);
    if (nslp.owner == 0 && nslp.sharers.empty()) {
      nslps_.erase(registration->nslp);
      if (!is_ping(registration->nslp)) core_.unregister_nslp(registration->nslp);
    }
  }
  std::erase_if(sessions_, [&](const auto& s) { return s.second == id; });
  std::erase_if(tickets_, [&](const auto& t) { return t.second == id; });
  clients_.erase(it);
}

void GistdService::tell(std::uint64_t id, const transport::ApiIndication& indication) {
  const auto it = clients_.find(id);
  if (it == clients_.end()) return;
  // One that does not read would else make gistd keep its messages without end.
  if (const Status sent = it->second.channel.send(transport::encode(indication)); !sent)
    loop_.post([this, id, why = sent.error().message()] { drop_client(id, why); });
}

Status GistdService::do_register(std::uint64_t id, const transport::Register& request) {
  Client& client = clients_.at(id);
  if (client.registration) return fail(Origin::kPeer, "Register", "sent twice");
  std::string refusal;
  const auto known = nslps_.find(request.nslp);
  const bool owned = is_ping(request.nslp) || (known != nslps_.end() && known->second.owner != 0);
  if (request.nslp.value() == 0) refusal = "NSLPID 0 is GIST's own";
  if (!request.sessions_only && owned) refusal = "another application has this NSLPID";
  tell(id, transport::Registered{request.nslp, refusal});
  if (!refusal.empty()) return {};
  client.registration = request;
  Nslp& nslp = nslps_[request.nslp];
  if (request.sessions_only) {
    nslp.sharers.insert(id);
  } else {
    nslp.owner = id;
  }
  core_.register_nslp(request.nslp);
  return {};
}

Status GistdService::handle(std::uint64_t id, transport::ApiRequest request) {
  if (const auto* r = std::get_if<transport::Register>(&request)) return do_register(id, *r);
  const auto& registration = clients_.at(id).registration;
  if (!registration) return fail(Origin::kPeer, "API", "not registered");
  const gist::NslpId nslp = registration->nslp;
  const TimePoint now = sys::now();
  if (auto* m = std::get_if<gist::SendMessage>(&request)) {
    if (m->nslp != nslp) return fail(Origin::kPeer, "SendMessage", "not the NSLPID registered");
    if (m->handle.value() >> kHandleBits != 0) return fail(Origin::kPeer, "SendMessage", "handle over 40 bits");
    if (m->handle.value() != 0) m->handle = gist::MessageHandle(id << kHandleBits | m->handle.value());
    if (registration->sessions_only && sessions_.size() < kMaxSessions) sessions_.insert({{nslp, m->session}, id});
    perform(core_.send(std::move(*m), now));
  } else if (auto* l = std::get_if<gist::SetStateLifetime>(&request)) {
    l->nslp = nslp;
    perform(core_.set_state_lifetime(*l, now));
  } else if (auto* i = std::get_if<gist::InvalidateRoutingState>(&request)) {
    i->nslp = nslp;
    perform(core_.invalidate_routing_state(*i, now));
  } else if (auto* a = std::get_if<transport::AnswerQuery>(&request)) {
    const auto ticket = tickets_.find(a->ticket);
    if (ticket == tickets_.end() || ticket->second != id) return {};  // too late
    tickets_.erase(ticket);
    perform(core_.answer_query(a->ticket, a->answer, now));
  }
  return {};
}

bool GistdService::is_ping(gist::NslpId nslp) const {
  return settings_.answer_pings && nslp.value() == transport::kPingNslp;
}

std::uint64_t GistdService::client_for(gist::NslpId nslp, const gist::SessionId& session) const {
  if (const auto s = sessions_.find({nslp, session}); s != sessions_.end()) return s->second;
  const auto n = nslps_.find(nslp);
  return n == nslps_.end() ? 0 : n->second.owner;
}

void GistdService::deliver(const gist::RecvMessage& m) {
  const std::uint64_t id = client_for(m.nslp, m.session);
  if (id != 0) {
    if (m.check) {
      if (tickets_.size() >= kMaxTickets) tickets_.erase(tickets_.begin());
      tickets_[*m.check] = id;
    }
    return tell(id, m);
  }
  if (m.check) perform(core_.answer_query(*m.check, {is_ping(m.nslp), {}}, sys::now()));
  if (!is_ping(m.nslp)) return;
  const auto back = parts_.network->route(gist::source_of(m.mri), {});
  if (back) send_pings(ping_.on_message(m, back->address));
}

void GistdService::send_pings(std::vector<gist::SendMessage> messages) {
  for (gist::SendMessage& m : messages) perform(core_.send(std::move(m), sys::now()));
}

void GistdService::deliver(const gist::MessageStatus& status) {
  const std::uint64_t id = status.handle.value() >> kHandleBits;
  if (id == 0) return send_pings(ping_.on_status(status));
  gist::MessageStatus own = status;
  own.handle = gist::MessageHandle(status.handle.value() & ((std::uint64_t{1} << kHandleBits) - 1));
  tell(id, own);
}

void GistdService::deliver(const gist::NetworkNotification& n) {
  if (const std::uint64_t id = client_for(n.nslp, n.session); id != 0) tell(id, n);
}

}  // namespace netserv::daemons
