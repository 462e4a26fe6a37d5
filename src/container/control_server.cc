#include "container/control_server.h"

#include <sys/socket.h>

#include <algorithm>

#include "base/log.h"

namespace netserv::container {
namespace {

constexpr LogSubject kSubject{{}, {}, "control"};
constexpr int kMostMessagesARound = 16;  // packets wait meanwhile

bool is_log(const ipc::FromContainer& message) { return std::holds_alternative<ipc::ModuleLog>(message); }
bool is_status(const ipc::FromContainer& message) { return std::holds_alternative<ipc::ContainerStatus>(message); }

// Counters are what can grow: 64 modules with 64 names of 64 bytes are more than a message holds.
void drop_counters(ipc::FromContainer& message) {
  auto clear = [](std::vector<ipc::ModuleStatus>& modules) {
    for (ipc::ModuleStatus& module : modules) module.counters.clear();
  };
  if (auto* status = std::get_if<ipc::ContainerStatus>(&message)) clear(status->modules);
  if (auto* welcome = std::get_if<ipc::Welcome>(&message)) clear(welcome->modules);
}

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::listen(const std::string& path, uid_t peer,
                                                             Handler& handler) {
  NETSERV_ASSIGN(sys::UniqueFd listener, sys::listen_seqpacket(path, 0600));
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(listener), peer, handler));
}

void ControlServer::send(ipc::FromContainer message) {
  if (is_status(message)) std::erase_if(queue_, is_status);
  if (queue_.size() >= kMostQueued) {
    auto out = std::find_if(queue_.begin(), queue_.end(), is_log);
    if (out == queue_.end()) out = std::find_if_not(queue_.begin(), queue_.end(), is_status);
    queue_.erase(out);
  }
  queue_.push_back(std::move(message));
  flush();
}

void ControlServer::add_to_poll(std::vector<pollfd>& out) const {
  bool connected = connection_.open();
  out.push_back({connected ? -1 : listener_.get(), POLLIN, 0});
  short events = POLLIN;
  if (greeted_ && !queue_.empty()) events |= POLLOUT;
  out.push_back({connected ? connection_.fd() : -1, events, 0});
}

void ControlServer::serve(const pollfd* entries) {
  if ((entries[0].revents & POLLIN) != 0) accept();
  if ((entries[1].revents & POLLOUT) != 0) flush();
  if ((entries[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0) receive();
}

void ControlServer::accept() {
  auto fd = sys::accept_connection(listener_.get());
  if (!fd || !*fd) return;
  auto who = sys::peer_credentials(fd->get());
  if (!who || who->uid != peer_) {
    log_warning(kSubject, "refused a connection of uid {}", who ? static_cast<long>(who->uid) : -1);
    return;
  }
  // A whole message must fit even if the node's default is small.
  int bytes = 2 * static_cast<int>(ipc::kMaxMessageBytes);
  ::setsockopt(fd->get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  connection_ = sys::Channel(std::move(*fd));
  greeted_ = false;
  receive();
}

void ControlServer::receive() {
  for (int i = 0; i < kMostMessagesARound && connection_.open(); ++i) {
    sys::Datagram datagram;
    auto received = connection_.receive(datagram, ipc::kMaxMessageBytes);
    if (!received) return drop_connection(received.error().text);
    if (*received == sys::Channel::Received::kNothing) return;
    if (*received == sys::Channel::Received::kClosed) return drop_connection({});
    auto message = ipc::decode<ipc::ToContainer>(datagram.bytes);
    if (!message) return drop_connection(message.error().message());
    if (const auto* hello = std::get_if<ipc::Hello>(&*message)) {
      if (hello->protocol == 0) return drop_connection("protocol 0");
      greeted_ = true;
      queue_.push_front(handler_.welcome(std::clamp(hello->protocol, ipc::kOldestContainerProtocol, ipc::kContainerProtocol)));
      flush();
    } else if (!greeted_) {
      return drop_connection("first message is not Hello");
    } else {
      handler_.on_message(std::move(*message), std::move(datagram.fds));
    }
  }
}

void ControlServer::flush() {
  while (greeted_ && connection_.open() && !queue_.empty()) {
    Bytes bytes = ipc::encode(queue_.front());
    if (bytes.size() > ipc::kMaxMessageBytes) {
      drop_counters(queue_.front());
      bytes = ipc::encode(queue_.front());
    }
    if (!connection_.send(bytes)) {
      // Full: POLLOUT calls again. Broken: the next receive() notices.
      return;
    }
    queue_.pop_front();
  }
}

void ControlServer::drop_connection(std::string_view why) {
  if (!why.empty()) log_warning(kSubject, "connection closed: {}", why);
  connection_.close();
  greeted_ = false;
  // Answers belong to the one who asked; what modules did is for whoever comes next.
  std::erase_if(queue_, [](const ipc::FromContainer& m) {
    return !is_log(m) && !std::holds_alternative<ipc::ModuleTrapped>(m) &&
           !std::holds_alternative<ipc::ModuleRestarted>(m);
  });
}

}  // namespace netserv::container
