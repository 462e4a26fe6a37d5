// Signalling applications at gistd's API socket.
#include <fcntl.h>

#include "base/log.h"
#include "daemons/gistd_service.h"
#include "sys/clock.h"

namespace netserv::daemons {
namespace {

constexpr std::size_t kMaxMessage = 65536;
// One that does not read would else make gistd keep its messages without end.
constexpr std::size_t kMaxWaiting = 8 << 20;
constexpr std::size_t kMaxClients = 256;
constexpr std::size_t kMaxSessions = 65536;
constexpr std::size_t kMaxTickets = 8192;
// Above the application's handle stands its number, so that answers find their way without a table.
constexpr unsigned kHandleBits = 40;

}  // namespace

void GistdService::accept_client(sys::UniqueFd fd) {
  if (clients_.size() >= kMaxClients) return;
  const std::uint64_t id = ++last_client_;
  Client& client = clients_[id];
  // A second descriptor, since the loop watches each once: reading stops for nobody's writing.
  client.out = sys::UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  client.channel = sys::Channel(std::move(fd));
  client.readable = loop_.on_io(client.channel.fd(), EPOLLIN, [this, id](std::uint32_t) { on_client(id); });
}

void GistdService::on_client(std::uint64_t id) {
  sys::Datagram message;
  for (int i = 0; i < 64; ++i) {
    const auto it = clients_.find(id);
    if (it == clients_.end()) return;
    const auto got = it->second.channel.receive(message, kMaxMessage);
    if (!got) return drop_client(id, got.error().message());
    if (*got == sys::Channel::Received::kClosed) return drop_client(id, "closed");
    if (*got == sys::Channel::Received::kNothing) return;
    auto request = gist::decode_api_message(message.bytes);
    const Status handled = request ? handle(id, *std::move(request)) : Status(fail(request.error()));
    if (!handled) return drop_client(id, handled.error().message());
  }
}

// Routing state stays: it expires by itself if the application does not come back.
void GistdService::drop_client(std::uint64_t id, std::string_view why) {
  const auto it = clients_.find(id);
  if (it == clients_.end()) return;
  log_info({.name = "api"}, "application {} left: {}", id, why);
  if (const auto nslp = it->second.nslp; nslp && !is_ping(*nslp)) {
    owners_.erase(*nslp);
    core_.unregister_nslp(*nslp);
  }
  std::erase_if(sessions_, [&](const auto& s) { return s.second == id; });
  std::erase_if(tickets_, [&](const auto& t) { return t.second == id; });
  clients_.erase(it);
}

void GistdService::tell(std::uint64_t id, const gist::ApiMessage& message) {
  const auto it = clients_.find(id);
  if (it == clients_.end()) return;
  Client& client = it->second;
  Bytes bytes = gist::encode_api_message(message);
  if (client.waiting.empty() && client.channel.send(bytes)) return;
  client.waiting_bytes += bytes.size();
  client.waiting.push_back(std::move(bytes));
  if (client.waiting_bytes > kMaxWaiting)
    return loop_.post([this, id] { drop_client(id, "does not read"); });
  if (!client.writable)
    client.writable = loop_.on_io(client.out.get(), EPOLLOUT, [this, id](std::uint32_t) { tell_waiting(id); });
}

void GistdService::tell_waiting(std::uint64_t id) {
  const auto it = clients_.find(id);
  if (it == clients_.end()) return;
  Client& client = it->second;
  while (!client.waiting.empty() && client.channel.send(client.waiting.front())) {
    client.waiting_bytes -= client.waiting.front().size();
    client.waiting.pop_front();
  }
  if (client.waiting.empty()) client.writable.reset();
}

Status GistdService::attach(std::uint64_t id, const gist::Attach& request) {
  Client& client = clients_.at(id);
  if (client.nslp) return fail(Origin::kPeer, "Attach", "sent twice");
  if (request.nslp.value() == 0) return fail(Origin::kPeer, "Attach", "NSLPID 0 is GIST's own");
  if (owners_.contains(request.nslp)) {
    tell(id, gist::AttachReply{false, "another application has this NSLPID"});
    return {};
  }
  client.nslp = request.nslp;
  if (!is_ping(request.nslp)) {
    owners_[request.nslp] = id;
    core_.register_nslp(request.nslp);
  }
  log_info({.name = request.name}, "attached, NSLPID {}", request.nslp.value());
  tell(id, gist::AttachReply{true, ""});
  return {};
}

Status GistdService::handle(std::uint64_t id, gist::ApiMessage message) {
  if (const auto* a = std::get_if<gist::Attach>(&message)) return attach(id, *a);
  if (!clients_.at(id).nslp) return fail(Origin::kPeer, "application", "not attached");
  const gist::NslpId nslp = *clients_.at(id).nslp;
  const TimePoint now = sys::now();
  if (auto* m = std::get_if<gist::SendMessage>(&message)) {
    if (m->nslp != nslp) return fail(Origin::kPeer, "SendMessage", "not the NSLPID attached");
    if (m->handle.value() >> kHandleBits != 0) return fail(Origin::kPeer, "SendMessage", "handle over 40 bits");
    if (m->handle.value() != 0) m->handle = gist::MessageHandle(id << kHandleBits | m->handle.value());
    if (is_ping(nslp) && sessions_.size() < kMaxSessions) sessions_.insert({m->session, id});
    perform(core_.send(std::move(*m), now));
  } else if (auto* l = std::get_if<gist::SetStateLifetime>(&message)) {
    l->nslp = nslp;
    perform(core_.set_state_lifetime(*l, now));
  } else if (auto* i = std::get_if<gist::InvalidateRoutingState>(&message)) {
    if (i->nslp && *i->nslp != nslp) return fail(Origin::kPeer, "InvalidateRoutingState", "not the NSLPID attached");
    perform(core_.invalidate_routing_state(*i, now));
  } else if (auto* a = std::get_if<gist::AnswerQuery>(&message)) {
    const auto ticket = tickets_.find(a->ticket);
    if (ticket == tickets_.end() || ticket->second != id) return {};  // too late
    tickets_.erase(ticket);
    perform(core_.answer_query(a->ticket, a->answer, now));
  } else {
    return fail(Origin::kPeer, "application", "sent what only gistd sends");
  }
  return {};
}

bool GistdService::is_ping(gist::NslpId nslp) const {
  return settings_.answer_pings && nslp.value() == transport::kPingNslp;
}

std::uint64_t GistdService::client_for(gist::NslpId nslp, const gist::SessionId& session) const {
  if (is_ping(nslp)) {
    const auto s = sessions_.find(session);
    return s == sessions_.end() ? 0 : s->second;
  }
  const auto n = owners_.find(nslp);
  return n == owners_.end() ? 0 : n->second;
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
