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
// Longer than that the reader is not busy, but stopped.
constexpr std::chrono::milliseconds kLongestLoan{500};

}  // namespace

QueueKeeper::QueueKeeper(sys::EventLoop& loop, std::unique_ptr<plane::NfQueue> queue, sys::Channel reader)
    : queue_(std::move(queue)), reader_(std::move(reader)) {
  if (queue_) {
    packets_ = loop.on_io(queue_->fd(), EPOLLIN, [this](std::uint32_t) { on_packets(); });
    beat_ = loop.every(kBeat, [this] { on_beat(); });
  }
  verdicts_ = loop.on_io(reader_.fd(), EPOLLIN, [this](std::uint32_t) { on_verdicts(); });
}

void QueueKeeper::close() {
  verdicts_.reset();
  reader_.close();
  if (!queue_) return;
  forget_before(last_number_ + 1);
  queue_->flush();
}

// Of these no answer comes any more.
void QueueKeeper::forget_before(std::uint64_t number) {
  while (!lent_.empty() && lent_.begin()->first < number) {
    if (lent_.begin()->second.cookie != kPassed) queue_->accept(lent_.begin()->second.cookie);
    lent_.erase(lent_.begin());
  }
}

// No packet waits longer than kLongestLoan, and nothing more is lent before one that does has been answered.
void QueueKeeper::on_beat() {
  const TimePoint now = sys::now();
  queue_->alive(now);
  for (auto& [number, lent] : lent_) {
    if (now - lent.since < kLongestLoan || lent.cookie == kPassed) continue;
    queue_->accept(std::exchange(lent.cookie, kPassed));
    if (!std::exchange(stalled_, true)) log_warning({.name = "interception"}, "no answers: packets pass");
  }
  queue_->flush();
}

void QueueKeeper::on_packets() {
  const TimePoint now = sys::now();
  for (const forward::Packet& p : queue_->receive(now)) {
    ByteWriter out;
    out.u64(++last_number_);
    out.u32(p.ingress);
    out.bytes({p.data, p.length});
    const bool whole = p.length == p.original_length;
    if (whole && !stalled_ && reader_.open() && lent_.size() < kMaxLent && reader_.send(out.view())) {
      lent_[last_number_] = {p.cookie, now};
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
    const std::uint64_t number = in.u64();
    const auto verdict = static_cast<QueueVerdict>(in.u8());
    if (!in.ok() || !lent_.contains(number)) continue;
    forget_before(number);  // answers come in order
    const std::uint64_t cookie = lent_.extract(number).mapped().cookie;
    if (cookie == kPassed) continue;
    if (verdict == QueueVerdict::kReplace) {
      queue_->accept_changed(cookie, in.rest());
    } else if (verdict == QueueVerdict::kDrop) {
      queue_->drop(cookie);
    } else {
      queue_->accept(cookie);
    }
  }
  // The last late answer has been given when nothing is left that passed without.
  if (std::exchange(stalled_, !lent_.empty() && lent_.begin()->second.cookie == kPassed) && !stalled_)
    log_info({.name = "interception"}, "answers again");
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
    const std::uint64_t number = in.u64();
    const std::uint32_t interface = in.u32();
    const Answer answer = decide_(in.rest(), interface);
    ByteWriter out;
    out.u64(number);
    out.u8(static_cast<std::uint8_t>(answer.verdict));
    out.bytes(answer.packet);
    if (const Status sent = keeper_.send(out.view()); !sent)
      log_warning({.name = "interception"}, "verdict lost: {}", sent.error().message());
  }
}

}  // namespace netserv::transport
