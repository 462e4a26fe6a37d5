#include "daemons/netservd/notifier.h"

#include "daemons/netservd/settings.h"
#include "fetch/job.h"

namespace netserv::daemon {

void Notifier::post(const PublisherId& publisher, const std::string& url, const std::string& line) {
  const Key key{publisher, url};
  auto it = targets_.find(key);
  if (it == targets_.end()) {
    std::size_t own = 0;
    for (auto at = targets_.lower_bound({publisher, ""}); at != targets_.end() && at->first.first == publisher; ++at) ++own;
    if (targets_.size() >= kMostUrls || own >= kMostUrlsOfOne) {
      ++dropped_;
      return;
    }
  }
  auto& target = targets_[key];
  if (!target) target = std::make_shared<Target>();
  if (target->lines.size() >= kMostLines) {
    ++dropped_;
    return;
  }
  target->lines.push_back(line + "\n");
  if (!target->process && !target->wait && !target->queued) send(key);
}

void Notifier::send(const Key& key) {
  Target& target = *targets_[key];
  target.wait.reset();
  std::size_t running = 0;
  for (auto at = targets_.lower_bound({key.first, ""}); at != targets_.end() && at->first.first == key.first; ++at)
    running += at->second->process != nullptr;
  target.queued = running >= kMostHelpersOfOne;
  if (target.queued)
    queued_[key.first].push_back(key.second);
  else
    run(key, target);
}

void Notifier::next(const PublisherId& publisher) {
  auto it = queued_.find(publisher);
  if (it == queued_.end()) return;
  const Key key{publisher, it->second.front()};
  it->second.pop_front();
  if (it->second.empty()) queued_.erase(it);
  send(key);
}

void Notifier::run(const Key& key, Target& target) {
  fetch::FetchJob job;
  job.url = key.second;
  job.output = "-";
  job.rules = address_rules(config_);
  std::string body = fetch::encode_job(job) + "\n";
  target.in_flight = 0;
  for (const std::string& line : target.lines) {
    if (body.size() + line.size() > 32 * 1024) break;  // a pipe takes it at once
    body += line;
    ++target.in_flight;
  }
  auto process = HelperProcess::start(loop_, {programs_ + "/netserv-notify"}, body, std::chrono::seconds(15), [this, key](Result<std::string> answer) {
    std::string text = answer.value_or("");
    while (text.ends_with('\n')) text.pop_back();
    auto last = fetch::decode_notified(text.substr(text.rfind('\n') + 1));
    done(key, last && last->posted > 0 && last->dropped == 0);
  });
  if (process)
    target.process = std::move(*process);
  else
    target.wait = loop_.after(Duration::zero(), [this, key] { done(key, false); });
}

void Notifier::done(const Key& key, bool ok) {
  auto it = targets_.find(key);
  if (it == targets_.end()) return;
  std::shared_ptr<Target> target = it->second;
  loop_.post([old = std::shared_ptr<HelperProcess>(std::move(target->process))] {});
  bool over = ok || ++target->tries >= kMostTries;
  if (over) {
    (ok ? sent_ : dropped_) += target->in_flight;
    target->lines.erase(target->lines.begin(), target->lines.begin() + static_cast<std::ptrdiff_t>(target->in_flight));
    target->tries = 0;
  }
  if (target->lines.empty()) {
    targets_.erase(it);
  } else {
    Duration wait = over ? Duration::zero() : std::chrono::seconds(1) * (1 << target->tries);
    target->wait = loop_.after(wait, [this, key] { send(key); });
  }
  next(key.first);
}

}  // namespace netserv::daemon
