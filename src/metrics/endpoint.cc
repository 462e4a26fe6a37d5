#include "metrics/endpoint.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <condition_variable>
#include <mutex>

#include "sys/clock.h"
#include "sys/inbox.h"

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

class OnDemand : public prometheus::Collectable {
 public:
  OnDemand(sys::EventLoop& loop, Duration age, Endpoint::Make make, Duration patience)
      : age_(age), patience_(patience), make_(std::move(make)), inbox_(loop) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    std::vector<prometheus::MetricFamily> out;
    if (auto snapshot = recent())
      for (const Family& f : *snapshot) out.push_back(converted(f));
    return out;
  }

  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  using Snapshot = std::shared_ptr<const std::vector<Family>>;

  Snapshot recent() const {
    std::unique_lock lock(mutex_);
    if (snapshot_ != nullptr && sys::now() - made_at_ < age_) return snapshot_;
    snapshot_.reset();
    inbox_.post([this] { make(); });
    changed_.wait_for(lock, patience_, [&] { return snapshot_ != nullptr || closed_; });
    return snapshot_;
  }

  void make() const {
    auto made = std::make_shared<const std::vector<Family>>(make_());
    std::lock_guard lock(mutex_);
    snapshot_ = std::move(made);
    made_at_ = sys::now();
    changed_.notify_all();
  }

  const Duration age_, patience_;
  const Endpoint::Make make_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable Snapshot snapshot_;   // these by the mutex
  mutable TimePoint made_at_;
  bool closed_ = false;
  mutable sys::Inbox inbox_;  // goes first: what is in it uses the rest
};

}  // namespace

struct Endpoint::Impl {
  std::shared_ptr<OnDemand> on_demand;
  std::unique_ptr<prometheus::Exposer> exposer;  // goes first: it waits for scrapes
};

Endpoint::Endpoint(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Endpoint::~Endpoint() { impl_->on_demand->close(); }

Result<std::unique_ptr<Endpoint>> Endpoint::start(sys::EventLoop& loop, const std::string& listen, Duration age, Make make,
                                                  Duration patience) {
  auto impl = std::make_unique<Impl>();
  impl->on_demand = std::make_shared<OnDemand>(loop, age, std::move(make), patience);
  try {
    impl->exposer = std::make_unique<prometheus::Exposer>(listen, 1);
  } catch (const std::exception& e) {
    return fail(Origin::kOperator, "metrics.listen", listen + ": " + e.what());
  }
  impl->exposer->RegisterCollectable(impl->on_demand);
  return std::unique_ptr<Endpoint>(new Endpoint(std::move(impl)));
}

}  // namespace netserv::metrics
