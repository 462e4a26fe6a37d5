#include "daemons/nslpd/controller_link.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/log.h"
#include "sys/seqpacket.h"
#include "wire/ncm/status.h"

namespace netserv::daemons {

ControllerLink::ControllerLink(sys::EventLoop& loop, std::string path, Answered answered)
    : loop_(loop), path_(std::move(path)), answered_(std::move(answered)) {}

bool ControllerLink::connect() {
  auto fd = sys::connect_stream(path_);
  if (!fd) {
    log_warning({.name = "netservd"}, "{}", fd.error().message());
    return false;
  }
  fd_ = *std::move(fd);
  ::fcntl(fd_.get(), F_SETFL, O_NONBLOCK);
  reader_ = {};
  out_.clear();
  watched_ = EPOLLIN;
  io_ = loop_.on_io(fd_.get(), watched_, [this](std::uint32_t events) { ready(events); });
  return true;
}

void ControllerLink::ask(const nslp::AskController& question) {
  waiting_.push_back(question.ticket);
  if (!fd_ && !connect()) return drop("can't be reached");
  out_ += ncm::print_message(question.ncm);
  write();
}

void ControllerLink::ready(std::uint32_t events) {
  if (events & EPOLLOUT) write();
  if (fd_ && (events & ~static_cast<std::uint32_t>(EPOLLOUT))) read();
}

void ControllerLink::write() {
  while (!out_.empty()) {
    const ssize_t n = ::send(fd_.get(), out_.data(), out_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) return drop("closed the connection");
    out_.erase(0, static_cast<std::size_t>(n));
  }
  const std::uint32_t wanted = out_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT;
  if (wanted == std::exchange(watched_, wanted)) return;
  io_.reset();  // a descriptor can be watched once
  io_ = loop_.on_io(fd_.get(), wanted, [this](std::uint32_t events) { ready(events); });
}

void ControllerLink::read() {
  char buffer[16384];
  const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return drop("closed the connection");
  reader_.feed({buffer, static_cast<std::size_t>(n)});
  while (fd_) {
    auto response = reader_.next();
    if (!response) return drop(response.error().message());
    if (!*response) return;
    if (waiting_.empty()) return drop("an answer to nothing");
    const nslp::ControllerTicket ticket = waiting_.front();
    waiting_.pop_front();
    answered_(ticket, **response);
  }
}

// Whoever waits is told, but never from inside ask().
void ControllerLink::drop(std::string_view why) {
  io_.reset();
  fd_.reset();
  if (waiting_.empty()) return;
  ncm::Response response;
  response.code = ncm::StatusCode::kNodeUnavailable;
  response.object = "-";
  response.text = "this node's controller: " + std::string(why);
  for (nslp::ControllerTicket ticket : std::exchange(waiting_, {}))
    loop_.post([this, ticket, response] { answered_(ticket, response); });
}

}  // namespace netserv::daemons
