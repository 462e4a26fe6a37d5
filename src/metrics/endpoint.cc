#include "metrics/endpoint.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <mutex>

namespace netserv::metrics {
namespace {

prometheus::MetricFamily converted(const Family& f) {
  prometheus::MetricFamily out;
  out.name = f.name;
  out.help = f.help;
  out.type = f.type == Family::Type::kCounter ? prometheus::MetricType::Counter
             : f.type == Family::Type::kGauge ? prometheus::MetricType::Gauge
                                              : prometheus::MetricType::Histogram;
  for (const Sample& s : f.samples) {
    prometheus::ClientMetric m;
    for (const auto& [name, value] : s.labels) m.label.push_back({name, value});
    if (f.type == Family::Type::kCounter) m.counter.value = s.value;
    if (f.type == Family::Type::kGauge) m.gauge.value = s.value;
    if (f.type == Family::Type::kHistogram) {
      m.histogram.sample_sum = s.value;
      for (const auto& [bound, count] : s.buckets) {
        prometheus::ClientMetric::Bucket bucket;
        bucket.upper_bound = bound;
        bucket.cumulative_count = count;
        m.histogram.bucket.push_back(bucket);
        m.histogram.sample_count = count;
      }
    }
    out.metric.push_back(std::move(m));
  }
  return out;
}

class Last : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override {
    std::shared_ptr<const std::vector<Family>> snapshot;
    {
      std::lock_guard lock(mutex_);
      snapshot = snapshot_;
    }
    std::vector<prometheus::MetricFamily> out;
    if (snapshot)
      for (const Family& f : *snapshot) out.push_back(converted(f));
    return out;
  }
  void publish(std::vector<Family> snapshot) {
    auto next = std::make_shared<const std::vector<Family>>(std::move(snapshot));
    std::lock_guard lock(mutex_);
    snapshot_ = std::move(next);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const std::vector<Family>> snapshot_;
};

}  // namespace

struct Endpoint::Impl {
  std::shared_ptr<Last> last = std::make_shared<Last>();
  std::unique_ptr<prometheus::Exposer> exposer;
};

Endpoint::Endpoint(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Endpoint::~Endpoint() = default;

Result<std::unique_ptr<Endpoint>> Endpoint::start(const std::string& listen) {
  auto impl = std::make_unique<Impl>();
  try {
    impl->exposer = std::make_unique<prometheus::Exposer>(listen, 1);
  } catch (const std::exception& e) {
    return fail(Origin::kOperator, "metrics.listen", listen + ": " + e.what());
  }
  impl->exposer->RegisterCollectable(impl->last);
  return std::unique_ptr<Endpoint>(new Endpoint(std::move(impl)));
}

void Endpoint::publish(std::vector<Family> snapshot) { impl_->last->publish(std::move(snapshot)); }

}  // namespace netserv::metrics
