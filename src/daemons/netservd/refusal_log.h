// Which refusals are told one by one. Anybody who may connect can cause them as fast as it likes: each publisher of the
// configuration, and all others together, has ten lines at once and one a second; the rest is counted and told with the
// next. (Metrics count every one.)
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace netserv::daemon {

class RefusalLog {
 public:
  // Whether this one is told now. `whose`: of the configuration, or empty for strangers, so that the caller bounds them.
  bool admit(const PublisherId& whose, TimePoint now);
  // Who has had refusals that were not told and could be told now, and how many. Forgets them.
  std::vector<std::pair<PublisherId, std::uint64_t>> suppressed(TimePoint now);

 private:
  static constexpr double kBurst = 10, kPerSecond = 1;
  struct Account {
    double lines = kBurst;
    TimePoint last{};
    std::uint64_t suppressed = 0;
  };
  static void refill(Account& account, TimePoint now);

  std::map<PublisherId, Account> accounts_;
};

}  // namespace netserv::daemon
