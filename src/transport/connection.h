// One messaging association's connection: TCP, or TLS over it, non-blocking, either role. What it cannot send at once
// it keeps, up to a limit. One thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "gist/environment.h"
#include "sys/event_loop.h"
#include "sys/fd.h"
#include "transport/tls.h"

namespace netserv::transport {

class Connection {
 public:
  enum class Role : std::uint8_t { kConnecting, kAccepted };
  // The connection must outlive the call of any of these.
  struct Events {
    std::function<void(const gist::PeerCredentials&)> ready;  // connected, TLS handshake done
    std::function<void(ByteSpan)> data;
    std::function<void(std::string_view why)> ended;  // once, by the peer or a failure
    std::function<void(bool)> congested;              // what waits to be sent is over kHighWater; under kLowWater again
  };
  // `tls` null: plain TCP. Takes a non-blocking socket, connected or connecting.
  Connection(sys::EventLoop& loop, sys::UniqueFd fd, Role role, SSL_CTX* tls, Events events);
  ~Connection();

  // False if too much waits already: the connection is to be given up.
  bool send(ByteSpan bytes);
  // Nothing more is read and no event follows but `drained`, when what was sent has gone out; it may come at once.
  void close(std::function<void()> drained);
  bool ready() const { return state_ == State::kOpen || state_ == State::kClosing; }

 private:
  enum class State : std::uint8_t { kConnecting, kHandshake, kOpen, kClosing, kEnded };
  static constexpr std::size_t kMaxQueued = 4 << 20, kHighWater = 1 << 20, kLowWater = 1 << 18;

  void on_ready(std::uint32_t events);
  void handshake();
  void read();
  void write();
  void watch();
  void end(std::string_view why);
  // Bytes moved, 0 to wait, or empty when it is over.
  std::optional<std::size_t> move(ssize_t result);

  sys::EventLoop& loop_;
  sys::UniqueFd fd_;
  SslSession ssl_;
  Events events_;
  std::function<void()> drained_;
  State state_ = State::kConnecting;
  bool congested_ = false;
  bool want_write_ = false;  // TLS needs to write before it goes on
  std::uint32_t watched_ = 0;
  sys::EventHandle source_, deadline_;
  Bytes out_;
  std::size_t out_at_ = 0;
};

}  // namespace netserv::transport
