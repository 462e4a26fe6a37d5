#include "daemons/netservd/notifier.h"

#include "daemons/netservd/settings.h"
#include "fetch/job.h"

namespace netserv::daemon {

void Notifier::post(const std::string& url, const std::string& line) {
  auto it = targets_.find(url);
  if (it == targets_.end() && targets_.size() >= kMostUrls) {
    ++dropped_;
    return;
  }
  auto& target = targets_[url];
  if (!target) target = std::make_shared<Target>();
  if (target->lines.size() >= kMostLines) {
    ++dropped_;
    return;
  }
  target->lines.push_back(line + "\n");
  if (!target->process && !target->wait) send(url);
}

void Notifier::send(const std::string& url) {
  Target& target = *targets_[url];
  target.wait.reset();
  fetch::FetchJob job;
  job.url = url;
  job.output = "-";
  job.rules = address_rules(config_);
  std::string body = fetch::encode_job(job) + "\n";
  target.in_flight = 0;
  for (const std::string& line : target.lines) {
    if (body.size() + line.size() > 32 * 1024) break;  // a pipe takes it at once
    body += line;
    ++target.in_flight;
  }
  auto process = HelperProcess::start(loop_, {programs_ + "/netserv-notify"}, body, std::chrono::seconds(15), [this, url](Result<std::string> answer) {
    std::string text = answer.value_or("");
    while (text.ends_with('\n')) text.pop_back();
    auto last = fetch::decode_notified(text.substr(text.rfind('\n') + 1));
    done(url, last && last->posted > 0 && last->dropped == 0);
  });
  if (process)
    target.process = std::move(*process);
  else
    target.wait = loop_.after(Duration::zero(), [this, url] { done(url, false); });
}

void Notifier::done(const std::string& url, bool ok) {
  auto it = targets_.find(url);
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
    targets_.erase(url);
    return;
  }
  Duration wait = over ? Duration::zero() : std::chrono::seconds(1) * (1 << target->tries);
  target->wait = loop_.after(wait, [this, url] { send(url); });
}

}  // namespace netserv::daemon
