#include "transport/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>

#include "base/log.h"

namespace netserv::transport {
namespace {

// For the connection and the TLS handshake together, and for what remains at the end.
constexpr std::chrono::seconds kPatience{10};

// A name out of a certificate, for the log.
std::string printable(std::string name) {
  for (char& c : name)
    if (c <= 0x20 || c >= 0x7f) c = '?';
  return name;
}

}  // namespace

Connection::Connection(sys::EventLoop& loop, sys::UniqueFd fd, Role role, SSL_CTX* tls, Events events)
    : loop_(loop), fd_(std::move(fd)), events_(std::move(events)) {
  const int on = 1;
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (tls != nullptr) {
    ssl_.reset(SSL_new(tls));
    NETSERV_CHECK(ssl_ && SSL_set_fd(ssl_.get(), fd_.get()) == 1);
    role == Role::kConnecting ? SSL_set_connect_state(ssl_.get()) : SSL_set_accept_state(ssl_.get());
  }
  deadline_ = loop_.after(kPatience, [this] { end("no connection in time"); });
  watch();
}

Connection::~Connection() {
  if (ssl_ && ready()) SSL_shutdown(ssl_.get());
}

void Connection::watch() {
  std::uint32_t wanted = 0;
  if (state_ == State::kConnecting || out_at_ < out_.size() || want_write_) wanted |= EPOLLOUT;
  if (state_ != State::kConnecting && state_ != State::kClosing) wanted |= EPOLLIN;
  if (state_ == State::kEnded) wanted = 0;
  if (wanted == watched_ && source_) return;
  watched_ = wanted;
  source_.reset();  // the loop knows a descriptor once
  source_ = loop_.on_io(fd_.get(), wanted, [this](std::uint32_t ready) { on_ready(ready); });
}

void Connection::end(std::string_view why) {
  if (state_ == State::kEnded) return;
  const bool closing = state_ == State::kClosing;
  state_ = State::kEnded;
  source_.reset();
  deadline_.reset();
  closing ? drained_() : events_.ended(why);
}

void Connection::on_ready(std::uint32_t events) {
  if (state_ == State::kConnecting) {
    int error = 0;
    socklen_t length = sizeof error;
    ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) return end(std::strerror(error));
    if ((events & EPOLLOUT) == 0) return end("hung up");
    state_ = State::kHandshake;
  }
  if (state_ == State::kHandshake) {
    handshake();
    if (state_ == State::kHandshake || state_ == State::kEnded) return;
  }
  if (out_at_ < out_.size()) write();
  if (state_ == State::kOpen) read();
  if (state_ != State::kEnded) watch();
}

void Connection::handshake() {
  gist::PeerCredentials credentials;
  if (ssl_) {
    want_write_ = false;
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    if (result != 1) {
      const int error = SSL_get_error(ssl_.get(), result);
      if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        const char* reason = ERR_reason_error_string(ERR_peek_last_error());
        std::string text = reason != nullptr ? reason : "TLS handshake failed";
        if (const long verified = SSL_get_verify_result(ssl_.get()); verified != X509_V_OK)
          text += std::string(": ") + X509_verify_cert_error_string(verified);
        return end(text);
      }
      want_write_ = error == SSL_ERROR_WANT_WRITE;
      return watch();
    }
    credentials = credentials_of(ssl_.get());
    const std::string& name = credentials.dns_names.empty() ? credentials.common_name : credentials.dns_names.front();
    log_info({.name = printable(name)}, "association over {}", SSL_get_version(ssl_.get()));
  }
  state_ = State::kOpen;
  deadline_.reset();
  events_.ready(credentials);
}

std::optional<std::size_t> Connection::move(ssize_t result) {
  if (result > 0) return static_cast<std::size_t>(result);
  if (ssl_) {
    const int error = SSL_get_error(ssl_.get(), static_cast<int>(result));
    want_write_ = error == SSL_ERROR_WANT_WRITE;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return 0;
    return std::nullopt;
  }
  if (result < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  return std::nullopt;
}

void Connection::read() {
  std::array<std::byte, 16384> buffer;
  // A bounded turn: other connections wait too. TLS holds back what it has read already, so it is emptied.
  for (int turn = 0; turn < 16 || (ssl_ && SSL_pending(ssl_.get()) > 0); ++turn) {
    ERR_clear_error();
    const auto n = move(ssl_ ? SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()))
                             : ::recv(fd_.get(), buffer.data(), buffer.size(), 0));
    if (!n) return end("closed by the peer");
    if (*n == 0) return;
    events_.data(ByteSpan(buffer).first(*n));
    if (state_ != State::kOpen) return;
  }
}

void Connection::write() {
  while (out_at_ < out_.size()) {
    const std::size_t left = std::min<std::size_t>(out_.size() - out_at_, 1 << 20);
    ERR_clear_error();
    const auto n = move(ssl_ ? SSL_write(ssl_.get(), out_.data() + out_at_, static_cast<int>(left))
                             : ::send(fd_.get(), out_.data() + out_at_, left, MSG_NOSIGNAL));
    if (!n) return end("can't send");
    if (*n == 0) return;
    out_at_ += *n;
    if (congested_ && out_.size() - out_at_ < kLowWater) events_.congested(congested_ = false);
  }
  out_.clear();
  out_at_ = 0;
  if (state_ == State::kClosing) end("");
}

bool Connection::send(ByteSpan bytes) {
  if (state_ != State::kOpen) return false;
  if (out_.size() - out_at_ + bytes.size() > kMaxQueued) return false;
  if (out_at_ > kMaxQueued / 4) {
    out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(out_at_));
    out_at_ = 0;
  }
  const bool idle = out_at_ == out_.size();
  out_.insert(out_.end(), bytes.begin(), bytes.end());
  if (!congested_ && out_.size() - out_at_ > kHighWater) events_.congested(congested_ = true);
  // Sent from the loop, never from here: the caller is in the middle of something, and failures come as events.
  if (idle) watch();
  return true;
}

void Connection::close(std::function<void()> drained) {
  drained_ = std::move(drained);
  if (state_ == State::kOpen && out_at_ < out_.size()) {
    state_ = State::kClosing;
    deadline_ = loop_.after(kPatience, [this] { end("not read in time"); });
    return watch();
  }
  state_ = State::kClosing;
  end("");
}

}  // namespace netserv::transport
