#include "sys/acceptor.h"

#include <fcntl.h>

#include <utility>

#include "base/log.h"

namespace netserv::sys {
namespace {

constexpr int kARound = 16;

UniqueFd spare() { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

}  // namespace

Acceptor::Acceptor(EventLoop& loop, UniqueFd listener, Take take)
    : listener_(std::move(listener)), reserve_(spare()), take_(std::move(take)) {
  readable_ = loop.on_io(listener_.get(), EPOLLIN, [this](std::uint32_t) { on_readable(); });
}

void Acceptor::on_readable() {
  for (int i = 0; i < kARound; ++i) {
    auto fd = accept_connection(listener_.get());
    if (!fd) {
      if (!turn_away()) return;
      continue;
    }
    if (!*fd) return;
    auto peer = peer_credentials(fd->get());
    if (peer) take_(*std::move(fd), *peer);
  }
}

bool Acceptor::turn_away() {
  reserve_.reset();
  auto fd = accept_connection(listener_.get());
  bool taken = fd.has_value() && *fd;
  if (taken) {
    fd->reset();
    log_warning({.name = "listening socket"}, "no descriptor left: a connection was turned away");
  }
  reserve_ = spare();
  return taken;
}

}  // namespace netserv::sys
