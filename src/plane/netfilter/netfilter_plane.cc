#include "plane/netfilter/netfilter_plane.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>

#include "forward/forwarder.h"
#include "sys/clock.h"

namespace netserv::plane {

static_assert(NfQueue::kBuffers >= forward::Limits{}.in_flight + NfQueue::kBatch);

Result<std::unique_ptr<NetfilterPart>> NetfilterPart::open(std::uint16_t queue, std::uint16_t closed_queue, std::uint32_t mark) {
  std::unique_ptr<NetfilterPart> part(new NetfilterPart);
  NETSERV_ASSIGN(part->open_, NfQueue::open(queue));
  NETSERV_ASSIGN(part->closed_, NfQueue::open(closed_queue, QueueFails::kClosed, NfQueue::kBuffers));
  NETSERV_ASSIGN(part->sender_, RawSender::create(mark));
  part->both_ = sys::UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  if (!part->both_) return fail_errno("netfilter plane", "epoll", errno);
  return part;
}

Status NetfilterPart::use_closed() {
  if (closed_used()) return {};
  for (int fd : {open_->fd(), closed_->fd()}) {
    epoll_event event{EPOLLIN, {}};
    if (::epoll_ctl(both_.get(), EPOLL_CTL_ADD, fd, &event) != 0 && errno != EEXIST)
      return fail_errno("netfilter plane", "epoll", errno);
  }
  closed_used_.store(true, std::memory_order_release);
  return {};
}

Result<std::unique_ptr<NetfilterPlane>> NetfilterPlane::create(const RuleOptions& options) {
  std::unique_ptr<NetfilterPlane> plane(new NetfilterPlane(options));
  NETSERV_TRY(plane->rules_.clean());
  for (std::uint16_t i = 0; i < options.queues; ++i) {  // before the rules: no packet finds one unbound
    NETSERV_ASSIGN(auto part, NetfilterPart::open(static_cast<std::uint16_t>(options.queue + i),
                                                  static_cast<std::uint16_t>(options.closed_queue() + i), options.mark));
    plane->parts_.push_back(std::move(part));
  }
  NETSERV_TRY(plane->rules_.install());
  if (plane->rules_.can_log()) {
    if (auto log = NfLog::open(options.queue, std::max(8u, 64u / options.queues))) plane->log_ = *std::move(log);
  }
  return plane;
}

NetfilterPlane::~NetfilterPlane() { (void)rules_.clean(); }

Status NetfilterPlane::want(const std::vector<forward::Wanted>& wanted) {
  RuleSet set;
  for (const forward::Wanted& w : wanted) {
    if (w.observer && log_) set.observed.push_back(w);
    else (w.fail_closed ? set.closed : set.queued).push_back(w.filter);
  }
  for (auto* filters : {&set.queued, &set.closed}) {
    std::ranges::sort(*filters);
    filters->erase(std::unique(filters->begin(), filters->end()), filters->end());
  }
  if (set.closed.size() > options_.max_rules)  // coarser ones would drop what nobody asked for
    return fail(Origin::kOperator, "netfilter plane", fmt::format("more than {} filters that ask for fail-closed", options_.max_rules));
  if (!set.closed.empty())
    for (auto& part : parts_) NETSERV_TRY(part->use_closed());
  Status replaced = rules_.replace(set);
  parts_.front()->alive(sys::now());  // that may have taken so long that the watchdog let everything pass
  return replaced;
}

std::size_t NetfilterPlane::take_copies(std::size_t most, const TakeCopies& take) {
  return log_ ? log_->take(most, take, sys::now()) : 0;
}

std::string NetfilterPlane::detail() const {
  std::string queues = std::to_string(options_.queue);
  if (options_.queues > 1)
    queues += fmt::format("-{} (a worker each)", options_.queue + options_.queues - 1);
  return fmt::format("{} NFQUEUE {}, {}, chain {}", rules_.variant(), queues,
                     log_ ? "NFLOG for observers" : "no NFLOG: observers' packets are queued too", kChain);
}

std::span<const forward::Packet> NetfilterPart::receive(TimePoint now) {
  if (!closed_used()) return open_->receive(now);
  closed_next_ = !closed_next_;
  NfQueue& first = closed_next_ ? *closed_ : *open_;
  if (auto packets = first.receive(now); !packets.empty()) return packets;
  return (closed_next_ ? *open_ : *closed_).receive(now);
}

bool NetfilterPart::await() { return !closed_used() && open_->await(); }

void NetfilterPart::finish(std::span<const forward::Outcome> outcomes) {
  for (const forward::Outcome& o : outcomes) {
    NfQueue& queue = queue_of(o.cookie);
    switch (o.fate) {
      case forward::Fate::kPass: queue.accept(o.cookie); break;
      case forward::Fate::kPassChanged: queue.accept_changed(o.cookie, {o.data, o.length}); break;
      case forward::Fate::kReply:
        if (queue.is_ours(o.cookie) && !sender_->send({o.data, o.length})) ++replies_failed_;
        queue.drop(o.cookie);
        break;
      case forward::Fate::kDrop: queue.drop(o.cookie); break;
    }
  }
}

void NetfilterPart::flush() {
  open_->flush();
  closed_->flush();
  sender_->flush();
}

std::map<std::string, std::uint64_t> NetfilterPart::counters() {
  const QueueCounters &open = open_->counters(), &closed = closed_->counters();
  const QueueState open_state = open_->kernel_state(), closed_state = closed_->kernel_state();
  return {
      {"queue_dropped", open_state.queue_dropped + open_state.user_dropped},  // had it not failed open
      {"queue_dropped_fail_closed", closed_state.queue_dropped + closed_state.user_dropped},
      {"queue_unseen", open.unseen},
      {"queue_malformed", open.malformed + closed.malformed},
      {"queue_verdict_errors", open.verdict_errors + closed.verdict_errors},
      {"queue_batch_verdicts", open.batch_verdicts + closed.batch_verdicts},
      {"queue_single_verdicts", open.single_verdicts + closed.single_verdicts},
      {"queue_freed", open.freed},  // the watchdog took this process for stopped
      {"queue_freed_unseen", open.freed_unseen},
      {"raw_sent", sender_->sent()},
      {"raw_send_failed", sender_->failed() + replies_failed_},
  };
}

std::map<std::string, std::uint64_t> NetfilterPlane::counters() {
  LogCounters log = log_ ? log_->counters() : LogCounters{};
  return {{"observer_copies", log.copies},
          {"observer_copies_lost", log.lost},
          {"observer_copies_malformed", log.malformed}};
}

}  // namespace netserv::plane
