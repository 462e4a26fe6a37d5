#include "daemons/netservd/links.h"

#include <fmt/format.h>

#include <utility>

#include "base/log.h"
#include "daemons/netservd/container_words.h"
#include "sys/clock.h"
#include "wire/ipc/archive.h"

namespace netserv::daemon {
namespace {
constexpr Duration kRetry = std::chrono::milliseconds(500);
constexpr Duration kWelcomeWait = std::chrono::seconds(5);
constexpr int kMostMessagesARound = 32;
constexpr Duration kPause = std::chrono::milliseconds(100);
constexpr unsigned kMostMessagesAWindow = 500;  // 64 modules that all load, and log all they may
constexpr std::size_t kForwarderMessage = 1u << 20;
}  // namespace

ForwarderLink::ForwarderLink(sys::EventLoop& loop, std::string path, std::vector<Prefix> reserved, Emit emit)
    : loop_(loop), path_(std::move(path)), reserved_(std::move(reserved)), emit_(std::move(emit)) {
  connect();
}

void ForwarderLink::connect() {
  auto fd = sys::connect_seqpacket(path_);
  if (!fd) {
    on_retry_ = loop_.after(kRetry, [this] { connect(); });
    return;
  }
  on_retry_.reset();
  channel_ = sys::Channel(std::move(*fd));
  on_readable_ = loop_.on_io(channel_.fd(), EPOLLIN, [this](std::uint32_t) { receive(); });
  for (const ipc::ToForwarder& message : {ipc::ToForwarder(ipc::ForwarderHello{}), ipc::ToForwarder(ipc::SetReserved{reserved_})})
    if (auto sent = channel_.send(ipc::encode(message)); !sent) return reset(sent.error().message());
}

void ForwarderLink::send(const ipc::ToForwarder& message) {
  if (!up_) return;
  if (auto* gone = std::get_if<ipc::RemoveContainer>(&message)) rings_.erase(gone->container);
  if (auto sent = channel_.send(ipc::encode(message)); !sent)
    loop_.post([this, text = sent.error().message()] { reset(text); });
}

void ForwarderLink::reset(const std::string& reason) {
  if (!channel_.open()) return;
  on_readable_.reset();
  channel_.close();
  rings_.clear();
  stats_ = {};
  pages_ = {};
  on_retry_ = loop_.after(kRetry, [this] { connect(); });
  if (std::exchange(up_, false)) emit_(node::ForwarderGone{reason});
}

std::vector<int> ForwarderLink::ring_of(ContainerId container) const {
  std::vector<int> out;
  if (auto it = rings_.find(container); it != rings_.end())
    for (const sys::UniqueFd& fd : it->second) out.push_back(fd.get());
  return out;
}

void ForwarderLink::receive() {
  while (channel_.open()) {
    sys::Datagram datagram;
    auto got = channel_.receive(datagram, kForwarderMessage);
    if (!got) return reset(got.error().message());
    if (*got == sys::Channel::Received::kClosed) return reset("the forwarder closed the connection");
    if (*got == sys::Channel::Received::kNothing) return;
    auto message = ipc::decode<ipc::FromForwarder>(datagram.bytes);
    if (!message) return reset(message.error().message());
    if (auto* welcome = std::get_if<ipc::ForwarderWelcome>(&*message)) {
      if (welcome->protocol != ipc::kForwarderProtocol)
        return reset(fmt::format("it speaks version {} of the control protocol, not {}", welcome->protocol, ipc::kForwarderProtocol));
      up_ = true;
      emit_(node::ForwarderUp{*welcome});
      continue;
    }
    if (auto* ring = std::get_if<ipc::ContainerRing>(&*message)) rings_[ring->container] = std::move(datagram.fds);
    if (auto* stats = std::get_if<ipc::ForwarderStats>(&*message)) {
      auto progress = pages_.add(std::move(*stats));
      if (progress.next != 0) send(ipc::GetForwarderStats{progress.next});
      if (!progress.all) continue;
      stats_ = *std::move(progress.all);
      reports_++;
      // What decides something is the plane's detail and which containers it knows; an event is dear when there are hundreds.
      ipc::ForwarderStats known{{}, {}, stats_.plane_detail};
      for (const ipc::ContainerCounters& c : stats_.containers) known.containers.push_back({c.container, {}});
      message = std::move(known);
    }
    if (up_) emit_(node::ForwarderSaid{std::move(*message)});
  }
}

ContainerLinks::ContainerLinks(sys::EventLoop& loop, lxc::ContainerHost& host, MakeSpec make_spec,
                               std::function<std::string(ContainerId)> run_folder,
                               std::function<std::string(ContainerId)> name, Emit emit)
    : loop_(loop), host_(host), make_spec_(std::move(make_spec)), run_folder_(std::move(run_folder)),
      name_(std::move(name)), emit_(std::move(emit)) {}

void ContainerLinks::start(const node::ContainerRecord& container, std::uint64_t life) {
  ContainerId id = container.id;
  if (connect(container, life)) return;  // it has been running all along
  auto spec = make_spec_(container);
  if (!spec) {
    loop_.post([this, id, life, text = spec.error().message()] { emit_(node::ContainerGone{id, life, text}); });
    return;
  }
  starting_.insert(id);
  host_.start(*spec, [this, container, life, grants = spec->network](Result<lxc::ContainerStarted> result) {
    started(container, life, grants, result);
  });
}

void ContainerLinks::started(const node::ContainerRecord& container, std::uint64_t life, const lxc::NetworkGrants& grants,
                             const Result<lxc::ContainerStarted>& result) {
  ContainerId id = container.id;
  starting_.erase(id);
  if (auto wanted = end_once_started_.extract(id)) return end(id, wanted.mapped());
  if (!result) return emit_(node::ContainerGone{id, life, result.error().message()});
  if (!connect(container, life)) return end(id, {life, "it does not listen on its control socket"});
  links_[id]->pid = result->init_pid;
  links_[id]->grants = grants;
}

bool ContainerLinks::connect(const node::ContainerRecord& container, std::uint64_t life) {
  ContainerId id = container.id;
  auto fd = sys::connect_seqpacket(lxc::control_socket(run_folder_(id)));
  if (!fd) return false;
  auto link = std::make_shared<Link>();
  link->record = container;
  link->life = life;
  if (auto peer = sys::peer_credentials(fd->get())) link->pid = peer->pid;
  link->channel = sys::Channel(std::move(*fd));
  if (!link->channel.send(ipc::encode<ipc::ToContainer>(ipc::Hello{}))) return false;
  listen_to(*link);
  link->on_deadline = loop_.after(kWelcomeWait, [this, id] { cut_off(id, "it does not answer"); });
  links_[id] = std::move(link);
  return true;
}

void ContainerLinks::stop(const node::ContainerRecord& container, std::uint64_t life) {
  links_.erase(container.id);
  statuses_.erase(container.id);
  end(container.id, {life, "stopped"});
}

void ContainerLinks::end(ContainerId id, End how) {
  if (starting_.count(id)) {
    end_once_started_[id] = std::move(how);
    return;
  }
  if (!stopping_.insert(id).second) return;  // what is under way ends the same life
  host_.stop(name_(id), [this, id, how = std::move(how)](Status stopped) {
    stopping_.erase(id);
    emit_(node::ContainerGone{id, how.life, stopped ? how.reason : stopped.error().message()});
  });
}

void ContainerLinks::send(ContainerId id, const ipc::ToContainer& message, const std::vector<int>& fds) {
  auto it = links_.find(id);
  if (it == links_.end()) return;
  if (auto sent = it->second->channel.send(ipc::encode(message), fds); !sent)
    loop_.post([this, id, text = sent.error().message()] { cut_off(id, text); });
}

void ContainerLinks::lost(ContainerId id, const std::string& reason) {
  auto link = links_.extract(id);
  if (!link) return;
  statuses_.erase(id);
  emit_(node::ContainerGone{id, link.mapped()->life, reason});
}

void ContainerLinks::cut_off(ContainerId id, const std::string& reason) {
  auto link = links_.extract(id);
  if (!link) return;
  statuses_.erase(id);
  end(id, {link.mapped()->life, reason});
}

void ContainerLinks::renew_grants() {
  for (const auto& [id, link] : std::map(links_))
    if (link->welcome) renew_grants(id);
}

void ContainerLinks::renew_grants(ContainerId id) {
  auto it = links_.find(id);
  if (it == links_.end() || it->second->renewing) return;
  std::shared_ptr<Link> link = it->second;
  auto spec = make_spec_(link->record);
  if (!spec || link->grants == spec->network) return;
  link->renewing = true;
  host_.set_network(name_(id), spec->network, [this, id, link, grants = spec->network](Status set) {
    link->renewing = false;
    if (!set) return log_warning({.publisher = link->record.publisher.value()}, "network grants: {}", set.error().message());
    link->grants = grants;
    renew_grants(id);  // they may have changed again meanwhile
  });
}

void ContainerLinks::listen_to(Link& link) {
  link.on_readable = loop_.on_io(link.channel.fd(), EPOLLIN, [this, id = link.record.id](std::uint32_t) { receive(id); });
}

// More than a container has to say: it is not listened to for a while, and what it says meanwhile waits at its end.
bool ContainerLinks::talks_too_much(Link& link) {
  const TimePoint now = sys::now();
  if (now - link.window >= kPause) {
    link.window = now;
    link.heard = 0;
  }
  if (++link.heard < kMostMessagesAWindow) return false;
  link.on_readable.reset();
  link.on_pause_end = loop_.after(kPause, [this, id = link.record.id] {
    if (auto it = links_.find(id); it != links_.end()) listen_to(*it->second);
  });
  return true;
}

// A few messages at a time: one that never stops talking is not to keep the others waiting.
void ContainerLinks::receive(ContainerId id) {
  for (int n = 0; n < kMostMessagesARound; ++n) {
    auto it = links_.find(id);
    if (it == links_.end()) return;
    std::shared_ptr<Link> link = it->second;
    if (talks_too_much(*link)) return;
    sys::Datagram datagram;
    auto got = link->channel.receive(datagram, ipc::kMaxMessageBytes);
    if (!got) return cut_off(id, got.error().message());
    if (*got == sys::Channel::Received::kClosed) return lost(id, "it ended");
    if (*got == sys::Channel::Received::kNothing) return;
    auto message = ipc::decode<ipc::FromContainer>(datagram.bytes);
    if (!message) return cut_off(id, message.error().message());
    if (auto shaped = hold_to_shape(*message); !shaped) return cut_off(id, shaped.error().message());
    if (auto* welcome = std::get_if<ipc::Welcome>(&*message)) {
      if (link->welcome) return cut_off(id, "it says welcome again");
      if (!ipc::kContainerProtocols.covers(welcome->protocol))
        return cut_off(id, fmt::format("it speaks version {} of the control protocol, not {} to {}", welcome->protocol,
                                       ipc::kOldestContainerProtocol, ipc::kContainerProtocol));
      link->welcome = true;
      link->on_deadline.reset();
      emit_(node::ContainerUp{id, link->life, *welcome});
      renew_grants(id);
      continue;
    }
    if (!link->welcome) return cut_off(id, "it spoke before its welcome");
    if (auto* status = std::get_if<ipc::ContainerStatus>(&*message)) {
      statuses_[id] = *status;
      link->asked = false;
    }
    emit_(node::ContainerSaid{id, link->life, std::move(*message)});
  }
}

void ContainerLinks::ask_status() {
  for (const auto& [id, link] : links_)
    if (link->welcome && !std::exchange(link->asked, true)) send(id, ipc::GetStatus{}, {});
}

pid_t ContainerLinks::pid_of(ContainerId container) const {
  auto it = links_.find(container);
  return it == links_.end() ? 0 : it->second->pid;
}

}  // namespace netserv::daemon
