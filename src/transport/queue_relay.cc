#include "transport/queue_relay.h"

#include <sys/socket.h>

#include "base/log.h"
#include "sys/clock.h"

namespace netserv::transport {
namespace {

constexpr std::size_t kMaxMessage = 16 + 65536;
// What the channel's buffer holds at the least, so that no verdict finds it full.
constexpr std::size_t kMaxLent = 1024;
// Well within what the queue's watchdog takes for stopped.
constexpr std::chrono::milliseconds kBeat{100};

}  // namespace

QueueKeeper::QueueKeeper(sys::EventLoop& loop, std::unique_ptr<plane::NfQueue> queue, sys::Channel reader)
    : queue_(std::move(queue)), reader_(std::move(reader)) {
  if (queue_) {
    packets_ = loop.on_io(queue_->fd(), EPOLLIN, [this](std::uint32_t) { on_packets(); });
    beat_ = loop.every(kBeat, [this] { queue_->alive(sys::now()); });
  }
  verdicts_ = loop.on_io(reader_.fd(), EPOLLIN, [this](std::uint32_t) { on_verdicts(); });
}

void QueueKeeper::close() {
  verdicts_.reset();
  reader_.close();
  if (!queue_) return;
  for (std::uint64_t cookie : lent_) queue_->accept(cookie);
  lent_.clear();
  queue_->flush();
}

void QueueKeeper::on_packets() {
  for (const forward::Packet& p : queue_->receive(sys::now())) {
    ByteWriter out;
    out.u64(p.cookie);
    out.u32(p.ingress);
    out.bytes({p.data, p.length});
    const bool whole = p.length == p.original_length;
    if (whole && reader_.open() && lent_.size() < kMaxLent && reader_.send(out.view())) {
      lent_.insert(p.cookie);
    } else {
      queue_->accept(p.cookie);
    }
  }
  queue_->flush();
}

void QueueKeeper::on_verdicts() {
  sys::Datagram message;
  for (;;) {
    const auto got = reader_.receive(message, kMaxMessage);
    if (!got || *got == sys::Channel::Received::kClosed) return close();
    if (*got == sys::Channel::Received::kNothing) break;
    ByteReader in(message.bytes);
    const std::uint64_t cookie = in.u64();
    const auto verdict = static_cast<QueueVerdict>(in.u8());
    if (!in.ok() || lent_.erase(cookie) == 0) continue;
    if (verdict == QueueVerdict::kReplace) {
      queue_->accept_changed(cookie, in.rest());
    } else if (verdict == QueueVerdict::kDrop) {
      queue_->drop(cookie);
    } else {
      queue_->accept(cookie);
    }
  }
  if (queue_) queue_->flush();
}

QueueReader::QueueReader(sys::EventLoop& loop, sys::Channel keeper, Decide decide, std::function<void()> closed)
    : keeper_(std::move(keeper)), decide_(std::move(decide)), closed_(std::move(closed)) {
  readable_ = loop.on_io(keeper_.fd(), EPOLLIN, [this](std::uint32_t) { on_readable(); });
}

void QueueReader::on_readable() {
  sys::Datagram message;
  for (int i = 0; i < 64; ++i) {
    const auto got = keeper_.receive(message, kMaxMessage);
    if (!got || *got == sys::Channel::Received::kClosed) {
      readable_.reset();
      return closed_();
    }
    if (*got == sys::Channel::Received::kNothing) return;
    ByteReader in(message.bytes);
    const std::uint64_t cookie = in.u64();
    const std::uint32_t interface = in.u32();
    const Answer answer = decide_(in.rest(), interface);
    ByteWriter out;
    out.u64(cookie);
    out.u8(static_cast<std::uint8_t>(answer.verdict));
    out.bytes(answer.packet);
    if (const Status sent = keeper_.send(out.view()); !sent)
      log_warning({.name = "interception"}, "verdict lost: {}", sent.error().message());
  }
}

}  // namespace netserv::transport
