#include "sys/seqpacket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace netserv::sys {
namespace {

constexpr std::size_t kMaxFds = 64;

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(Origin::kOperator, path, "socket path is longer than 107 bytes");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

Result<UniqueFd> listen_unix(const std::string& path, unsigned mode, int type) {
  NETSERV_ASSIGN(sockaddr_un address, address_of(path));
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(path, "socket", errno);
  ::unlink(path.c_str());
  mode_t old_mask = ::umask(0777);  // nobody connects before the mode is set
  int bound = ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  ::umask(old_mask);
  if (bound != 0) return fail_errno(path, "bind", errno);
  if (::chmod(path.c_str(), mode) != 0) return fail_errno(path, "chmod", errno);
  if (::listen(fd.get(), 64) != 0) return fail_errno(path, "listen", errno);
  return fd;
}

Result<UniqueFd> connect_unix(const std::string& path, int type) {
  NETSERV_ASSIGN(sockaddr_un address, address_of(path));
  // A listener that has stopped accepting, with a full backlog, would hold a daemon up for ever: EAGAIN instead.
  bool at_once = type == SOCK_SEQPACKET;
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | (at_once ? SOCK_NONBLOCK : 0), 0));
  if (!fd) return fail_errno(path, "socket", errno);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return fail_errno(path, "connect", errno);
  if (at_once) ::fcntl(fd.get(), F_SETFL, 0);
  return fd;
}

ssize_t send_with(int socket, ByteSpan message, const std::vector<int>& fds, int flags) {
  iovec part{const_cast<std::byte*>(message.data()), message.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
  cmsghdr* c = CMSG_FIRSTHDR(&header);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
  std::memcpy(CMSG_DATA(c), fds.data(), sizeof(int) * fds.size());
  return ::sendmsg(socket, &header, flags);
}

}  // namespace

Result<UniqueFd> listen_seqpacket(const std::string& path, unsigned mode) {
  return listen_unix(path, mode, SOCK_SEQPACKET);
}
Result<UniqueFd> connect_seqpacket(const std::string& path) { return connect_unix(path, SOCK_SEQPACKET); }
Result<UniqueFd> listen_stream(const std::string& path, unsigned mode) {
  return listen_unix(path, mode, SOCK_STREAM);
}
Result<UniqueFd> connect_stream(const std::string& path) { return connect_unix(path, SOCK_STREAM); }

Result<UniqueFd> accept_connection(int listener) {
  UniqueFd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
    return fail_errno("listening socket", "accept", errno);
  return fd;
}

Result<PeerCredentials> peer_credentials(int fd) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0)
    return fail_errno("connection", "SO_PEERCRED", errno);
  return PeerCredentials{credentials.pid, credentials.uid, credentials.gid};
}

Status Channel::send(ByteSpan message, const std::vector<int>& fds) {
  if (fds.size() > kMaxFds) return fail(Origin::kSystem, "channel", "too many descriptors in one message");
  constexpr int kFlags = MSG_NOSIGNAL | MSG_DONTWAIT;
  // Without descriptors no sendmsg(), which a container's seccomp filter refuses.
  ssize_t sent;
  do sent = fds.empty() ? ::send(fd_.get(), message.data(), message.size(), kFlags)
                        : send_with(fd_.get(), message, fds, kFlags);
  while (sent < 0 && errno == EINTR);
  if (sent < 0) return fail_errno("channel", "send", errno);
  return {};
}

Result<Channel::Received> Channel::receive(Datagram& out, std::size_t limit) {
  // Room for the message that is there: clearing the most that may come costs more than all the rest.
  out.bytes.clear();
  out.fds.clear();
  msghdr peek{};
  ssize_t there;
  do there = ::recvmsg(fd_.get(), &peek, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);
  while (there < 0 && errno == EINTR);
  if (there < 0 && errno == EAGAIN) return Received::kNothing;
  if (there == 0 || (there < 0 && errno == ECONNRESET)) return Received::kClosed;  // no empty messages in our protocols
  if (there < 0) return fail_errno("channel", "receive", errno);
  out.bytes.resize(std::min(limit, static_cast<std::size_t>(there)));
  iovec part{out.bytes.data(), out.bytes.size()};
  msghdr header{};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t n;
  do n = ::recvmsg(fd_.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  int error_number = errno;
  out.bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  if (n < 0 && error_number == EAGAIN) return Received::kNothing;
  if (n < 0 && error_number == ECONNRESET) return Received::kClosed;
  if (n < 0) return fail_errno("channel", "receive", error_number);
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
      out.fds.emplace_back(fd);
    }
  }
  if (n == 0) return Received::kClosed;
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
    return fail(Origin::kPeer, "channel", "message longer than " + std::to_string(limit) + " bytes");
  return Received::kMessage;
}

}  // namespace netserv::sys
