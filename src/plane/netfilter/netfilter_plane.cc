#include "plane/netfilter/netfilter_plane.h"

#include <fmt/format.h>

#include <algorithm>

namespace netserv::plane {

Result<std::unique_ptr<NetfilterPlane>> NetfilterPlane::create(const RuleOptions& options) {
  std::unique_ptr<NetfilterPlane> plane(new NetfilterPlane(options));
  NETSERV_TRY(plane->rules_.clean());
  NETSERV_ASSIGN(plane->queue_, NfQueue::open(options.queue));  // before the rules: no packet finds it unbound
  NETSERV_ASSIGN(plane->sender_, RawSender::create(options.mark));
  NETSERV_TRY(plane->rules_.install());
  return plane;
}

NetfilterPlane::~NetfilterPlane() { (void)rules_.clean(); }

Status NetfilterPlane::want(const std::vector<forward::Wanted>& wanted) {
  std::vector<Filter> filters;  // observers' packets are queued too: the core makes their copies
  for (const forward::Wanted& w : wanted) filters.push_back(w.filter);
  std::ranges::sort(filters);
  filters.erase(std::unique(filters.begin(), filters.end()), filters.end());
  return rules_.replace(filters);
}

std::string NetfilterPlane::detail() const {
  return fmt::format("{} NFQUEUE {}, chain {}", rules_.variant(), options_.queue, kChain);
}

void NetfilterPlane::finish(std::span<const forward::Outcome> outcomes) {
  for (const forward::Outcome& o : outcomes) {
    switch (o.fate) {
      case forward::Fate::kPass: queue_->accept(o.cookie); break;
      case forward::Fate::kPassChanged: queue_->accept_changed(o.cookie, {o.data, o.length}); break;
      case forward::Fate::kReply:
        if (!sender_->send({o.data, o.length})) ++replies_failed_;
        queue_->drop(o.cookie);
        break;
      case forward::Fate::kDrop: queue_->drop(o.cookie); break;
    }
  }
}

void NetfilterPlane::flush() {
  queue_->flush();
  sender_->flush();
}

std::map<std::string, std::uint64_t> NetfilterPlane::counters() {
  const QueueCounters& q = queue_->counters();
  auto kernel = queue_->kernel_counters();
  return {
      {"queue_overruns", kernel.queue_dropped},  // queue full: passed by in the kernel
      {"queue_user_overruns", kernel.user_dropped + q.socket_overruns},
      {"queue_malformed", q.malformed},
      {"queue_verdict_errors", q.verdict_errors},
      {"queue_batch_verdicts", q.batch_verdicts},
      {"queue_single_verdicts", q.single_verdicts},
      {"queue_no_buffers", q.no_buffers},
      {"raw_sent", sender_->sent()},
      {"raw_send_failed", sender_->failed() + replies_failed_},
  };
}

}  // namespace netserv::plane
