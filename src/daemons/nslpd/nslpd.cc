#include "daemons/nslpd/nslpd.h"

#include <sys/random.h>

#include "base/log.h"
#include "sys/clock.h"
#include "wire/ncm/status.h"

namespace netserv::daemons {
namespace {

constexpr std::size_t kMaxClients = 128;
constexpr std::size_t kMaxClientSessions = 4096;

std::optional<gist::SessionId> session_of(const Bytes& bytes) {
  gist::SessionId id;
  if (bytes.size() != id.bytes.size()) return std::nullopt;
  std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  return id;
}

void log_event(const nslp::Event& event) {
  const std::string session = event.session.to_string().substr(0, 8);
  switch (event.type) {
    // Strangers cause these two: nothing that they can fill a log with.
    case nslp::Event::Type::kDropped: return log_debug({.name = session}, "dropped: {}", event.text);
    case nslp::Event::Type::kRefused: return log_debug({.name = session}, "refused: {}", event.text);
    case nslp::Event::Type::kAnswered: return log_debug({.name = session}, "answered: {}", event.text);
    case nslp::Event::Type::kPathTimeout: return log_debug({.name = session}, "{}", event.text);
  }
}

}  // namespace

Result<std::unique_ptr<Nslpd>> Nslpd::start(sys::EventLoop& loop, NslpdSettings settings) {
  NETSERV_ASSIGN(sys::UniqueFd listener, sys::listen_seqpacket(settings.client_socket, settings.client_mode));
  std::unique_ptr<Nslpd> made(new Nslpd(loop, std::move(settings)));
  made->acceptor_ = std::make_unique<sys::Acceptor>(
      loop, std::move(listener), [n = made.get()](sys::UniqueFd fd, const sys::PeerCredentials&) { n->accept_client(std::move(fd)); });
  return made;
}

Nslpd::Nslpd(sys::EventLoop& loop, NslpdSettings settings)
    : loop_(loop),
      settings_(std::move(settings)),
      core_(settings_.core, *this),
      gist_(loop, settings_.gist_socket, {settings_.core.nslp, "nslpd"},
            {[this] { perform(core_.gist_back(sys::now())); }, [this](const gist::ApiMessage& m) { on_gist(m); }}),
      controller_(loop, settings_.controller_socket, [this](nslp::ControllerTicket ticket, const ncm::Response& response) {
        perform(core_.controller_answered(ticket, response, sys::now()));
      }) {}

gist::SessionId Nslpd::new_session() {
  gist::SessionId id;
  NETSERV_CHECK(::getrandom(id.bytes.data(), id.bytes.size(), 0) == static_cast<ssize_t>(id.bytes.size()));
  return id;
}

void Nslpd::on_gist(const gist::ApiMessage& message) {
  const TimePoint now = sys::now();
  if (const auto* m = std::get_if<gist::RecvMessage>(&message)) perform(core_.received(*m, now));
  if (const auto* s = std::get_if<gist::MessageStatus>(&message)) perform(core_.status(*s, now));
  if (const auto* n = std::get_if<gist::NetworkNotification>(&message)) perform(core_.notified(*n, now));
}

void Nslpd::perform(nslp::Outputs outputs) {
  for (nslp::Output& o : outputs) {
    if (auto* s = std::get_if<gist::SendMessage>(&o)) gist_.send(*s);
    if (auto* s = std::get_if<gist::SetStateLifetime>(&o)) gist_.send(*s);
    if (auto* a = std::get_if<nslp::AnswerQuery>(&o)) gist_.send(gist::AnswerQuery{a->ticket, {a->peer, {}}});
    if (auto* a = std::get_if<nslp::AskController>(&o)) controller_.ask(*a);
    if (auto* e = std::get_if<nslp::Event>(&o)) log_event(*e);
    if (auto* f = std::get_if<nslp::Finished>(&o)) {
      const auto waiting = waiting_.extract(f->ticket.value());
      if (waiting.empty()) continue;
      auto response = nslp::encode(nslp::Response{0, f->stack, {}});
      NETSERV_CHECK(response);  // the core makes stacks fit
      tell(waiting.mapped().client, nslp::PathAnswer{waiting.mapped().ticket, f->wait.count(), *response});
    }
  }
  arm();
}

void Nslpd::arm() {
  const auto deadline = core_.next_deadline();
  if (deadline == armed_) return;
  armed_ = deadline;
  timer_.reset();
  if (!deadline) return;
  timer_ = loop_.at(*deadline, [this] {
    armed_.reset();
    perform(core_.on_time(sys::now()));
  });
}

void Nslpd::accept_client(sys::UniqueFd fd) {
  if (clients_.size() >= kMaxClients) return;
  const std::uint64_t id = ++last_id_;
  Client& client = clients_[id];
  client.channel = sys::Channel(std::move(fd));
  client.readable = loop_.on_io(client.channel.fd(), EPOLLIN, [this, id](std::uint32_t) { on_client(id); });
}

void Nslpd::on_client(std::uint64_t id) {
  sys::Datagram packet;
  for (int i = 0; i < 16; ++i) {
    const auto it = clients_.find(id);
    if (it == clients_.end()) return;
    auto got = it->second.channel.receive(packet, nslp::kMaxClientMessage);
    if (!got || *got == sys::Channel::Received::kClosed) return drop_client(id);
    if (*got == sys::Channel::Received::kNothing) return;
    auto request = ipc::decode<nslp::ClientRequest>(packet.bytes);
    if (!request) {
      log_warning({.name = "client"}, "{}", request.error().message());
      return drop_client(id);
    }
    std::visit([&](const auto& r) { handle(id, r); }, *request);
  }
}

void Nslpd::drop_client(std::uint64_t id) {
  auto client = clients_.extract(id);
  if (client.empty()) return;
  std::erase_if(waiting_, [&](const auto& w) { return w.second.client == id; });
  for (const gist::SessionId& session : client.mapped().sessions) perform(core_.end_session(session, sys::now()));
}

void Nslpd::handle(std::uint64_t id, const nslp::SendAlongPath& request) {
  auto refuse = [&](const Error& error) {
    tell(id, nslp::PathRefused{request.ticket, static_cast<std::uint16_t>(error.code), error.subject, error.text});
  };
  const auto session = session_of(request.session);
  auto ncm = ncm::parse_message(request.ncm);
  if (!ncm) return refuse(ncm.error());
  if (!session) return refuse({Origin::kPeer, "session", "is not 16 bytes", 0});
  if (!gist_.attached())
    return refuse({Origin::kSystem, settings_.gist_socket, "gistd is not there: is it running, and may nslpd open its socket?", ncm::number(ncm::StatusCode::kPathFailed)});
  for (const auto& [other, client] : clients_)
    if (other != id && client.sessions.contains(*session)) return refuse({Origin::kPeer, "session", "is another program's", 0});
  Client& client = clients_.at(id);
  if (client.sessions.size() >= kMaxClientSessions && !client.sessions.contains(*session))
    return refuse({Origin::kPeer, "session", "too many are open", 0});

  nslp::Start start;
  start.ticket = nslp::ClientTicket(++last_id_);
  start.session = *session;
  start.source = request.source;
  start.destination = request.destination;
  start.trigger = request.trigger;
  start.ncm = *std::move(ncm);
  start.timeout = std::chrono::milliseconds(request.timeout_ms);
  waiting_[start.ticket.value()] = {id, request.ticket};
  auto outputs = core_.start(start, sys::now());
  if (!outputs) {
    waiting_.erase(start.ticket.value());
    return refuse(outputs.error());
  }
  client.sessions.insert(*session);
  perform(*std::move(outputs));
}

void Nslpd::handle(std::uint64_t id, const nslp::EndSession& request) {
  const auto session = session_of(request.session);
  if (!session || clients_.at(id).sessions.erase(*session) == 0) return;
  perform(core_.end_session(*session, sys::now()));
}

void Nslpd::tell(std::uint64_t id, const nslp::ClientReply& reply) {
  const auto it = clients_.find(id);
  if (it == clients_.end()) return;
  if (Status sent = it->second.channel.send(ipc::encode(reply)); !sent)
    loop_.post([this, id] { drop_client(id); });  // it does not read
}

}  // namespace netserv::daemons
