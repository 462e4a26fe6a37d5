#include "plane/netfilter/netfilter_plane.h"

#include <fmt/format.h>

#include <algorithm>

#include "forward/forwarder.h"
#include "sys/clock.h"

namespace netserv::plane {

static_assert(NfQueue::kBuffers >= forward::Limits{}.in_flight + NfQueue::kBatch);

Result<std::unique_ptr<NetfilterPart>> NetfilterPart::open(std::uint16_t queue, std::uint32_t mark) {
  std::unique_ptr<NetfilterPart> part(new NetfilterPart);
  NETSERV_ASSIGN(part->queue_, NfQueue::open(queue));
  NETSERV_ASSIGN(part->sender_, RawSender::create(mark));
  return part;
}

Result<std::unique_ptr<NetfilterPlane>> NetfilterPlane::create(const RuleOptions& options) {
  std::unique_ptr<NetfilterPlane> plane(new NetfilterPlane(options));
  NETSERV_TRY(plane->rules_.clean());
  for (std::uint16_t i = 0; i < options.queues; ++i) {  // before the rules: no packet finds one unbound
    NETSERV_ASSIGN(auto part, NetfilterPart::open(static_cast<std::uint16_t>(options.queue + i), options.mark));
    plane->parts_.push_back(std::move(part));
  }
  NETSERV_TRY(plane->rules_.install());
  if (plane->rules_.can_log()) {
    if (auto log = NfLog::open(options.queue)) plane->log_ = *std::move(log);
  }
  return plane;
}

NetfilterPlane::~NetfilterPlane() { (void)rules_.clean(); }

Status NetfilterPlane::want(const std::vector<forward::Wanted>& wanted) {
  RuleSet set;
  for (const forward::Wanted& w : wanted) {
    if (w.observer && log_) set.observed.push_back(w);
    else set.queued.push_back(w.filter);
  }
  std::ranges::sort(set.queued);
  set.queued.erase(std::unique(set.queued.begin(), set.queued.end()), set.queued.end());
  Status replaced = rules_.replace(set);
  parts_.front()->alive(sys::now());  // that may have taken so long that the watchdog let everything pass
  return replaced;
}

void NetfilterPlane::take_copies(const TakeCopies& take) {
  if (log_) log_->take(take, sys::now());
}

std::string NetfilterPlane::detail() const {
  std::string queues = std::to_string(options_.queue);
  if (options_.queues > 1)
    queues += fmt::format("-{} (a worker each)", options_.queue + options_.queues - 1);
  return fmt::format("{} NFQUEUE {}, {}, chain {}", rules_.variant(), queues,
                     log_ ? "NFLOG for observers" : "no NFLOG: observers' packets are queued too", kChain);
}

void NetfilterPart::finish(std::span<const forward::Outcome> outcomes) {
  for (const forward::Outcome& o : outcomes) {
    switch (o.fate) {
      case forward::Fate::kPass: queue_->accept(o.cookie); break;
      case forward::Fate::kPassChanged: queue_->accept_changed(o.cookie, {o.data, o.length}); break;
      case forward::Fate::kReply:
        if (queue_->is_ours(o.cookie) && !sender_->send({o.data, o.length})) ++replies_failed_;
        queue_->drop(o.cookie);
        break;
      case forward::Fate::kDrop: queue_->drop(o.cookie); break;
    }
  }
}

void NetfilterPart::flush() {
  queue_->flush();
  sender_->flush();
}

std::map<std::string, std::uint64_t> NetfilterPart::counters() {
  const QueueCounters& q = queue_->counters();
  auto kernel = queue_->kernel_state();
  return {
      {"queue_dropped", kernel.queue_dropped + kernel.user_dropped},  // had it not failed open
      {"queue_unseen", q.unseen},
      {"queue_malformed", q.malformed},
      {"queue_verdict_errors", q.verdict_errors},
      {"queue_batch_verdicts", q.batch_verdicts},
      {"queue_single_verdicts", q.single_verdicts},
      {"queue_freed", q.freed},  // the watchdog took this process for stopped
      {"queue_freed_unseen", q.freed_unseen},
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
