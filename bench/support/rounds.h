// Two or more things whose times are to be compared, measured by turns so that what else the machine does hits all
// alike: many short rounds on one core, the median of each. A round in which another was interrupted changes nothing.
#pragma once

#include <benchmark/benchmark.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace netserv::bench {

struct Contender {
  std::string row;
  std::function<void()> once;  // one batch
};

class Rounds {
 public:
  static constexpr int kRounds = 61;
  static constexpr std::chrono::microseconds kRound{2000};

  // The rows print the median time of a batch and, as ns_per_packet, of one of its `packets`; `against_first` is the
  // median over the rounds of this contender's time by the first one's.
  Rounds(std::vector<Contender> contenders, int packets) : contenders_(std::move(contenders)), packets_(packets) {}
  void add_rows() {
    for (std::size_t i = 0; i < contenders_.size(); ++i)
      benchmark::RegisterBenchmark(contenders_[i].row.c_str(), [this, i](benchmark::State& state) {
        if (times_.empty()) measure();
        for (auto _ : state) state.SetIterationTime(median(times_[i]) * 1e-9);
        state.counters["ns_per_packet"] = median(times_[i]) / packets_;
        std::vector<double> ratios;
        for (int k = 0; k < kRounds; ++k) ratios.push_back(times_[i][k] / times_[0][k]);
        state.counters["against_first"] = median(ratios);
      })->Iterations(1)->UseManualTime();
  }

 private:
  using Clock = std::chrono::steady_clock;
  static double median(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
  }
  static double time_of(const Contender& contender, int batches) {
    const auto start = Clock::now();
    for (int i = 0; i < batches; ++i) contender.once();
    return std::chrono::duration<double, std::nano>(Clock::now() - start).count() / batches;
  }
  void measure() {
    cpu_set_t before, here;
    sched_getaffinity(0, sizeof before, &before);
    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    sched_setaffinity(0, sizeof here, &here);
    std::vector<int> batches;
    for (const Contender& c : contenders_) {
      c.once();  // the first may load a module: that must not pass for the time of a batch
      int n = 1;
      while (time_of(c, n) * n < std::chrono::nanoseconds(kRound).count()) n *= 2;
      batches.push_back(n);
    }
    times_.resize(contenders_.size());
    for (int round = 0; round < kRounds; ++round)
      for (std::size_t i = 0; i < contenders_.size(); ++i) times_[i].push_back(time_of(contenders_[i], batches[i]));
    sched_setaffinity(0, sizeof before, &before);
  }

  std::vector<Contender> contenders_;
  int packets_;
  std::vector<std::vector<double>> times_;  // of a batch, in each round
};

}  // namespace netserv::bench
