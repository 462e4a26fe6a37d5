// A Prometheus endpoint. A scrape is answered on the endpoint's thread, with a snapshot that the owner makes on the thread
// of its loop, for scrapes alone: a node that nobody looks at makes none.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "sys/event_loop.h"

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
  using Make = std::function<std::vector<Family>()>;
  // `listen` is ADDRESS:PORT; path /metrics. `make` runs on the loop's thread, once in `age` at most, however many scrape. A loop
  // that does not get round to it within `patience` leaves the scrape empty.
  static Result<std::unique_ptr<Endpoint>> start(sys::EventLoop& loop, const std::string& listen, Duration age, Make make,
                                                 Duration patience = std::chrono::seconds(5));
  // On the loop's thread, or before it runs.
  ~Endpoint();

 private:
  struct Impl;
  explicit Endpoint(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace netserv::metrics
