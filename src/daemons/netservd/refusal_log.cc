#include "daemons/netservd/refusal_log.h"

#include <algorithm>

namespace netserv::daemon {

void RefusalLog::refill(Account& account, TimePoint now) {
  if (now > account.last)
    account.lines = std::min(kBurst, account.lines + kPerSecond * std::chrono::duration<double>(now - account.last).count());
  account.last = std::max(account.last, now);
}

bool RefusalLog::admit(const PublisherId& whose, TimePoint now) {
  Account& account = accounts_[whose];
  refill(account, now);
  if (account.lines < 1) {
    ++account.suppressed;
    return false;
  }
  account.lines -= 1;
  return true;
}

std::vector<std::pair<PublisherId, std::uint64_t>> RefusalLog::suppressed(TimePoint now) {
  std::vector<std::pair<PublisherId, std::uint64_t>> out;
  for (auto& [publisher, account] : accounts_) {
    refill(account, now);
    if (account.suppressed == 0 || account.lines < 1) continue;
    account.lines -= 1;
    out.emplace_back(publisher, std::exchange(account.suppressed, 0));
  }
  return out;
}

}  // namespace netserv::daemon
