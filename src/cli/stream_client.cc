#include "cli/stream_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "cli/exit_codes.h"
#include "sys/seqpacket.h"

namespace netserv::cli {
namespace {

Error with_code(Error error, int code) {
  error.code = code;
  return error;
}

}  // namespace

Result<StreamClient> StreamClient::connect(const std::string& path) {
  auto fd = sys::connect_stream(path);
  if (fd) return StreamClient(std::move(*fd), path);
  Error error = with_code(fd.error(), kExitUnavailable);
  error.text += "; is netservd running, and may you open its socket?";
  return fail(std::move(error));
}

Status StreamClient::wait(short events, std::optional<std::chrono::milliseconds> timeout) {
  pollfd p{fd_.get(), events, 0};
  int ready = 0;
  do {
    ready = ::poll(&p, 1, timeout ? static_cast<int>(timeout->count()) : -1);
  } while (ready < 0 && errno == EINTR);
  if (ready > 0) return {};
  if (ready < 0) return fail_errno(path_, "poll", errno);
  return fail(Origin::kPeer, path_, "the node did not answer in time", kExitTimeout);
}

Status StreamClient::send(std::string_view bytes, std::chrono::milliseconds timeout) {
  while (!bytes.empty()) {
    NETSERV_TRY(wait(POLLOUT, timeout));
    ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) return {};  // what it said before it closed says why
    if (n < 0) return fail(with_code(fail_errno(path_, "send", errno).value(), kExitUnavailable));
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Result<std::string> StreamClient::receive(std::optional<std::chrono::milliseconds> timeout) {
  char buffer[16384];
  while (true) {
    NETSERV_TRY(wait(POLLIN, timeout));
    ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n < 0 && errno == ECONNRESET) return std::string();  // closed with some of the request unread
    if (n < 0) return fail(with_code(fail_errno(path_, "receive", errno).value(), kExitUnavailable));
    return std::string(buffer, static_cast<std::size_t>(n));
  }
}

}  // namespace netserv::cli
