#include "daemons/netservd/stream_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "wire/ncm/status.h"

namespace netserv::daemon {
namespace {
constexpr std::size_t kMostUnread = 4u << 20;
constexpr Duration kLinger = std::chrono::seconds(1);
}  // namespace

bool may_connect(const SocketFile& file, uid_t user, const std::vector<gid_t>& groups) {
  if (user == 0 || user == file.server || (file.mode & S_IWOTH) != 0) return true;
  return (file.mode & S_IWGRP) != 0 && std::find(groups.begin(), groups.end(), file.group) != groups.end();
}

std::optional<ClientId> whom_to_drop(const std::vector<Guest>& guests, uid_t newcomer) {
  std::map<uid_t, std::size_t> idle{{newcomer, 1}};
  for (const Guest& g : guests) idle[g.user] += !g.waits;
  const Guest* out = nullptr;
  for (const Guest& g : guests) {
    if (g.waits) continue;
    auto rank = [&](const Guest& x) { return std::pair(idle[x.user], ~x.last_active); };
    if (out == nullptr || rank(g) > rank(*out)) out = &g;
  }
  if (out == nullptr || idle[out->user] < idle[newcomer]) return std::nullopt;
  return out->id;
}

StreamServer::StreamServer(sys::EventLoop& loop, sys::UniqueFd listener, SocketFile file, Handler handler)
    : loop_(loop), file_(file), handler_(std::move(handler)),
      acceptor_(loop, std::move(listener), [this](sys::UniqueFd fd, const sys::PeerCredentials& who) { take(std::move(fd), who); }) {}

Result<std::unique_ptr<StreamServer>> StreamServer::listen(sys::EventLoop& loop, const std::string& path, unsigned mode,
                                                           Handler handler) {
  NETSERV_ASSIGN(sys::UniqueFd listener, sys::listen_stream(path, mode));
  struct stat s {};
  if (::stat(path.c_str(), &s) != 0) return fail_errno(path, "stat", errno);
  SocketFile file{mode, ::geteuid(), s.st_gid};
  return std::unique_ptr<StreamServer>(new StreamServer(loop, std::move(listener), file, std::move(handler)));
}

bool StreamServer::admits(int fd, const sys::PeerCredentials& who) const {
  std::vector<gid_t> groups(64);
  socklen_t length = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length) != 0) length = 0;
  groups.resize(length / sizeof(gid_t));
  groups.push_back(who.gid);
  return may_connect(file_, who.uid, groups);
}

bool StreamServer::make_room(uid_t newcomer) {
  if (clients_.size() < kMostClients) return true;
  std::vector<Guest> guests;
  for (const auto& [id, client] : clients_)
    guests.push_back({id, client->user, client->last_active, handler_.waits(id)});
  auto out = whom_to_drop(guests, newcomer);
  if (out) drop(*out);
  return out.has_value();
}

// A connection that is not taken is closed at once.
void StreamServer::take(sys::UniqueFd fd, const sys::PeerCredentials& who) {
  if (!admits(fd.get(), who)) {
    const Error error{Origin::kPeer, "user", std::to_string(who.uid) + " may not use this socket", ncm::number(ncm::StatusCode::kNotAllowed)};
    const std::string text = handler_.refusal(error);
    (void)::send(fd.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return;
  }
  if (!make_room(who.uid)) return;
  ClientId id = next_++;
  auto client = std::make_shared<Client>();
  client->fd = std::move(fd);
  client->user = who.uid;
  client->last_active = ++activity_;
  client->on_io = loop_.on_io(client->fd.get(), EPOLLIN, [this, id](std::uint32_t events) { ready(id, events); });
  clients_[id] = std::move(client);
  handler_.opened(id);
}

void StreamServer::ready(ClientId id, std::uint32_t events) {
  auto it = clients_.find(id);
  if (it == clients_.end()) return;
  std::shared_ptr<Client> client = it->second;
  if ((events & EPOLLOUT) && !flush(id, *client)) return;
  if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
  if (client->ended) return (events & (EPOLLHUP | EPOLLERR)) != 0 ? drop(id) : void();
  char buffer[16384];
  ssize_t n = ::recv(client->fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  // It may have closed its sending side alone, and still read what it is owed.
  const bool waits = n == 0 && handler_.waits(id);
  if (n == 0 && !client->closing && (events & (EPOLLHUP | EPOLLERR)) == 0 && (waits || !client->out.empty())) {
    client->ended = true;
    client->closing = !waits;
    return watch(id, *client);
  }
  if (n <= 0) return drop(id);
  client->last_active = ++activity_;
  if (!client->closing) handler_.received(id, std::string_view(buffer, static_cast<std::size_t>(n)));
}

// False: the client is gone.
bool StreamServer::flush(ClientId id, Client& client) {
  while (!client.out.empty()) {
    ssize_t n = ::send(client.fd.get(), client.out.data(), client.out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) {
      drop(id);
      return false;
    }
    client.out.erase(0, static_cast<std::size_t>(n));
    client.last_active = ++activity_;
  }
  if (client.out.empty() && client.closing && !client.lingering) {
    // Closing with input unread would reset the connection, and the client might lose the answer.
    ::shutdown(client.fd.get(), SHUT_WR);
    client.lingering = loop_.after(kLinger, [this, id] { drop(id); });
  }
  bool want = !client.out.empty();
  if (want == client.writing) return true;
  client.writing = want;
  watch(id, client);
  return true;
}

void StreamServer::watch(ClientId id, Client& client) {
  client.on_io.reset();
  client.on_io = loop_.on_io(client.fd.get(), (client.ended ? 0u : EPOLLIN) | (client.writing ? EPOLLOUT : 0u),
                             [this, id](std::uint32_t events) { ready(id, events); });
}

void StreamServer::write(ClientId id, std::string_view text) {
  auto it = clients_.find(id);
  if (it == clients_.end()) return;
  std::shared_ptr<Client> client = it->second;
  if (client->out.size() + text.size() > kMostUnread) return drop(id);
  client->out += text;
  if (client->ended && !handler_.waits(id)) client->closing = true;
  flush(id, *client);
}

void StreamServer::close(ClientId id) {
  auto it = clients_.find(id);
  if (it == clients_.end()) return;
  std::shared_ptr<Client> client = it->second;
  client->closing = true;
  flush(id, *client);
}

void StreamServer::drop(ClientId id) {
  auto it = clients_.find(id);
  if (it == clients_.end()) return;
  std::shared_ptr<Client> keep = it->second;
  clients_.erase(it);
  // Not within the source's own callback chain of handler calls.
  loop_.post([this, id, keep] { handler_.closed(id); });
}

}  // namespace netserv::daemon
