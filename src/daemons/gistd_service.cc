#include "daemons/gistd_service.h"

#include <bit>

#include "base/log.h"
#include "daemons/gistd_options.h"
#include "daemons/gistd_orders.h"
#include "sys/clock.h"
#include "transport/packet_image.h"

namespace netserv::daemons {

using transport::QueueVerdict;

GistdService::GistdService(sys::EventLoop& loop, GistdSettings settings, GistdParts parts)
    : loop_(loop), settings_(std::move(settings)), parts_(std::move(parts)), authority_(settings_.peers),
      core_(settings_.core, crypto_, *parts_.network, authority_),
      associations_(loop, std::move(parts_.tls), *this), ping_(settings_.name) {
  if (settings_.nat) nat_.emplace(*settings_.nat, settings_.core, crypto_, *parts_.network);
  if (settings_.answer_pings) core_.register_nslp(gist::NslpId(transport::kPingNslp));
  for (int fd : parts_.datagrams->fds())
    sources_.push_back(loop.on_io(fd, EPOLLIN, [this, fd](std::uint32_t ready) { on_datagrams(fd, ready); }));
  if (parts_.router_alert)
    for (int fd : parts_.router_alert->fds())
      sources_.push_back(loop.on_io(fd, EPOLLIN, [this, fd](std::uint32_t) { on_router_alert(fd); }));
  sources_.push_back(loop.on_io(parts_.network->fd(), EPOLLIN, [this](std::uint32_t) { on_network_change(); }));
  sources_.push_back(loop.on_io(parts_.orders.fd(), EPOLLIN, [this](std::uint32_t) { on_orders(); }));
  if (parts_.tcp_listener) associations_.listen(std::move(parts_.tcp_listener), false);
  if (parts_.tls_listener) associations_.listen(std::move(parts_.tls_listener), true);
  api_ = std::make_unique<sys::Acceptor>(
      loop, std::move(parts_.api_listener), [this](sys::UniqueFd fd, const sys::PeerCredentials&) { accept_client(std::move(fd)); });
  queue_ = std::make_unique<transport::QueueReader>(
      loop, std::move(parts_.keeper), [this](ByteSpan packet, std::uint32_t in) { return on_queued(packet, in); },
      [this] { shut_down([this] { loop_.stop(); }); });
}

GistdService::~GistdService() = default;

void GistdService::on_datagrams(int fd, std::uint32_t ready) {
  if ((ready & EPOLLERR) != 0)
    for (const auto& [quoted, mtu] : parts_.datagrams->icmp_errors(fd))
      perform(mtu == 0 ? core_.on_port_unreachable(quoted, sys::now()) : core_.on_packet_too_big(quoted, mtu, sys::now()));
  for (const gist::Datagram& d : parts_.datagrams->receive(fd)) perform(core_.on_datagram(d, sys::now()));
}

void GistdService::on_router_alert(int fd) {
  for (const auto& packet : parts_.router_alert->receive(fd)) {
    const auto datagram = transport::read_packet(packet.bytes, packet.interface);
    if (datagram && parts_.network->is_local(datagram->destination)) continue;
    if (datagram && datagram->destination_port == gist::kUdpPort) {
      perform(core_.on_datagram(*datagram, sys::now()));
      continue;
    }
    // Somebody else's alert: the kernel has let go of it, so it is ours to send on.
    if (datagram && datagram->ttl > 1) {
      gist::Datagram onward = *datagram;
      --onward.ttl;
      if (const Status sent = parts_.datagrams->forward(onward); !sent)
        log_debug({.name = "router alert"}, "{}", sent.error().message());
    }
  }
}

// The queued packet itself goes on if the core says at once that it should: so the kernel routes it, counts its TTL
// down and reports what is wrong with it.
transport::QueueReader::Answer GistdService::on_queued(ByteSpan packet, std::uint32_t interface) {
  auto datagram = transport::read_packet(packet, interface);
  if (!datagram || datagram->ttl <= 1) return {};
  if (nat_) {
    if (auto translated = translate(*datagram)) return *std::move(translated);
    // Else it is the socket's, or the kernel takes it to a node inside.
    if (parts_.network->is_local(datagram->destination)) return {};
  }
  gist::Outputs outputs = core_.on_datagram(*datagram, sys::now());
  transport::QueueReader::Answer answer{QueueVerdict::kDrop, {}};
  for (auto it = outputs.begin(); it != outputs.end(); ++it) {
    auto* forward = std::get_if<gist::ForwardDatagram>(&*it);
    if (forward == nullptr) continue;
    answer.verdict = QueueVerdict::kAccept;
    if (forward->datagram.payload != datagram->payload) {
      forward->datagram.ttl = datagram->ttl;
      answer = {QueueVerdict::kReplace, transport::rebuild_packet(forward->datagram)};
    }
    outputs.erase(it);
    break;
  }
  perform(std::move(outputs));
  return answer;
}

std::optional<transport::QueueReader::Answer> GistdService::translate(const gist::Datagram& datagram) {
  const auto translated = nat_->translate(datagram, sys::now());
  if (!translated) return std::nullopt;
  switch (translated->way) {
    case gist::Nat::Way::kInPlace:
      return transport::QueueReader::Answer{QueueVerdict::kReplace, transport::rebuild_packet(translated->datagram)};
    case gist::Nat::Way::kQuery: {
      ByteReader header(ByteSpan(translated->datagram.payload).subspan(4));
      send({translated->datagram, true, gist::decode_header(header).nslp});
      break;
    }
    case gist::Nat::Way::kReply: send({translated->datagram, false, {}}); break;
    case gist::Nat::Way::kDrop:
      if (std::has_single_bit(++dropped_by_nat_))  // a flood shall not fill the log
        log_warning({.name = "nat"}, "{} datagrams dropped so far: more come than it may look at", dropped_by_nat_);
      break;
  }
  return transport::QueueReader::Answer{QueueVerdict::kDrop, {}};
}

void GistdService::on_network_change() {
  for (const Prefix& changed : parts_.network->changes()) perform(core_.route_changed(changed, sys::now()));
}

// The keeper has looked at it before it passed it on.
void GistdService::on_orders() {
  sys::Datagram message;
  const auto got = parts_.orders.receive(message, kMaxOrder);
  if (!got || *got != sys::Channel::Received::kMessage) return;
  const Status taken_up = take_up(message.bytes);
  if (!taken_up) log_error({.name = "gistd"}, "{}", taken_up.error().message());
}

Status GistdService::take_up(ByteSpan bytes) {
  NETSERV_ASSIGN(const Orders message, ipc::decode<Orders>(bytes));
  const Order& order = std::get<Order>(message);
  NETSERV_ASSIGN(std::vector<gist::AuthorisedPeer> peers, parse_peers(order.peers));
  if (order.tls) {
    NETSERV_ASSIGN(auto tls, transport::make_tls_context(*order.tls, {"certificate", "key", "authorities"}));
    associations_.renew(std::move(tls));
    log_info({.name = "gistd"}, "certificate, key and authorities are taken up");
  }
  log_info({.name = "gistd"}, "authorised peers: {} entries", peers.size());
  authority_.replace(std::move(peers));
  perform(core_.authorisation_changed(sys::now()));
  return {};
}

void GistdService::perform(gist::Outputs outputs) {
  for (gist::Output& o : outputs) {
    if (auto* d = std::get_if<gist::SendDatagram>(&o)) send(*d);
    if (auto* f = std::get_if<gist::ForwardDatagram>(&o)) {
      if (f->datagram.ip_header.empty()) continue;  // it was for this node: nowhere to send it on to
      if (const Status sent = parts_.datagrams->forward(f->datagram); !sent)
        log_debug({.name = "forward"}, "{}", sent.error().message());
    }
    if (auto* c = std::get_if<gist::ConnectAssociation>(&o)) associations_.connect(*c);
    if (auto* s = std::get_if<gist::SendOnAssociation>(&o)) associations_.send(*s);
    if (auto* c = std::get_if<gist::CloseAssociation>(&o)) associations_.close(c->id);
    if (auto* r = std::get_if<gist::RecvMessage>(&o)) deliver(*r);
    if (auto* s = std::get_if<gist::MessageStatus>(&o)) deliver(*s);
    if (auto* n = std::get_if<gist::NetworkNotification>(&o)) deliver(*n);
    if (auto* e = std::get_if<gist::Event>(&o)) log(*e);
  }
  arm();
}

void GistdService::send(const gist::SendDatagram& out) {
  const auto value = settings_.router_alert.find(out.nslp);
  const std::uint16_t alert = value == settings_.router_alert.end() ? settings_.default_router_alert : value->second;
  const bool own = parts_.network->is_local(out.datagram.source);
  const Status sent = out.query_mode ? parts_.datagrams->send_query(out.datagram, alert)
                      : own          ? parts_.datagrams->send(out.datagram)
                                     : parts_.datagrams->send_as(out.datagram);
  if (!sent) log_debug({.name = "send"}, "{}", sent.error().message());
}

void GistdService::arm() {
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

// A remote can cause each of these: debug only, but for what an operator has to see.
void GistdService::log(const gist::Event& e) {
  const std::string peer = e.peer.to_string();
  const std::string line = fmt::format("{} nslp {} code {}/{} {}", gist::to_string(e.type), e.nslp.value(), e.code,
                                       e.subcode, e.text);
  const bool serious = e.type == gist::Event::Type::kPeerRefused || e.type == gist::Event::Type::kStackTampered;
  serious ? log_warning({.name = peer}, "{}", line) : log_debug({.name = peer}, "{}", line);
}

void GistdService::shut_down(std::function<void()> done) {
  if (drain_) return;
  sources_.clear();
  api_.reset();
  for (const gist::AssociationId id : associations_.open()) associations_.close(id);
  drain_ = loop_.every(std::chrono::milliseconds(5), [this, done = std::move(done)] {
    if (associations_.drained()) done();
  });
}

gist::AssociationId GistdService::on_accepted(const gist::AcceptedAssociation& accepted) {
  const gist::AssociationId id = core_.accept_association(accepted, sys::now());
  perform(core_.on_time(sys::now()));  // an older one may have made room
  return id;
}
void GistdService::on_connected(gist::AssociationId id, const gist::PeerCredentials& credentials) {
  perform(core_.association_connected(id, credentials, sys::now()));
}
void GistdService::on_data(gist::AssociationId id, ByteSpan bytes) {
  perform(core_.association_data(id, bytes, sys::now()));
}
void GistdService::on_failed(gist::AssociationId id) { perform(core_.association_failed(id, sys::now())); }

}  // namespace netserv::daemons
