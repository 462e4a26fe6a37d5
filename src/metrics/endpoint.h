// A Prometheus endpoint over a snapshot. The owner publishes whole snapshots from its own thread; scrapes are
// answered from the last one on the endpoint's threads, and never touch anything else.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace netserv::metrics {

struct Sample {
  std::map<std::string, std::string> labels;
  double value = 0;
  // Histograms only: upper bounds and cumulative counts, the last bound infinite; `value` is then the sum.
  std::vector<std::pair<double, std::uint64_t>> buckets;
};
struct Family {
  enum class Type : std::uint8_t { kCounter, kGauge, kHistogram };
  std::string name, help;
  Type type = Type::kCounter;
  std::vector<Sample> samples;
};

class Endpoint {
 public:
  // `listen` is ADDRESS:PORT; path /metrics.
  static Result<std::unique_ptr<Endpoint>> start(const std::string& listen);
  ~Endpoint();
  void publish(std::vector<Family> snapshot);

 private:
  struct Impl;
  explicit Endpoint(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace netserv::metrics
