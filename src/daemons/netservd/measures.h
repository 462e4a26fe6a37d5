// The metrics of docs/metrics.md: what is counted from the controller's events, and the view over everything else.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "daemons/netservd/report.h"
#include "metrics/endpoint.h"

namespace netserv::daemon {

class Measures {
 public:
  void on_happened(const node::Happened& happened);
  std::vector<metrics::Family> families(const Facts& facts, std::uint64_t notified, std::uint64_t notifications_dropped) const;

 private:
  static constexpr std::array<double, 9> kBounds = {0.01, 0.05, 0.1, 0.5, 1, 2, 5, 15, 60};
  std::map<std::string, std::uint64_t> events_, installs_;
  std::array<std::uint64_t, kBounds.size() + 1> durations_{};
  double duration_sum_ = 0;
};

}  // namespace netserv::daemon
