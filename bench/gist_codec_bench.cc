// Messages a second through the GIST codec on one core. The goal is 2 million a second.
#include <benchmark/benchmark.h>

#include "wire/gist/message.h"
#include "wire/gist/testing/samples.h"

using namespace netserv;
using namespace netserv::gist;

namespace {

// A captured Query, Response and Data as an independent implementation sends them.
const std::vector<testing::Captured>& captured() {
  static const std::vector<testing::Captured> all = testing::captured_messages(NETSERV_SOURCE_DIR);
  return all;
}

void decode(benchmark::State& state) {
  const testing::Captured& c = captured()[static_cast<std::size_t>(state.range(0))];
  for (auto _ : state) benchmark::DoNotOptimize(decode_message(c.bytes, c.transport));
  state.SetItemsProcessed(state.iterations());
  state.SetLabel(c.name);
}
BENCHMARK(decode)->DenseRange(0, 7);

void encode(benchmark::State& state) {
  const testing::Captured& c = captured()[static_cast<std::size_t>(state.range(0))];
  const Message m = decode_message(c.bytes, c.transport).value();
  for (auto _ : state) benchmark::DoNotOptimize(encode_message(m, c.transport));
  state.SetItemsProcessed(state.iterations());
  state.SetLabel(c.name);
}
BENCHMARK(encode)->DenseRange(0, 7);

// All of them in turn, as a node meets them.
void decode_all(benchmark::State& state) {
  std::int64_t messages = 0;
  for (auto _ : state)
    for (const testing::Captured& c : captured()) {
      benchmark::DoNotOptimize(decode_message(c.bytes, c.transport));
      ++messages;
    }
  state.SetItemsProcessed(messages);
}
BENCHMARK(decode_all);

void encode_all(benchmark::State& state) {
  std::vector<std::pair<Message, Transport>> all;
  for (const testing::Captured& c : captured()) all.emplace_back(decode_message(c.bytes, c.transport).value(), c.transport);
  std::int64_t messages = 0;
  for (auto _ : state)
    for (const auto& [m, transport] : all) {
      benchmark::DoNotOptimize(encode_message(m, transport));
      ++messages;
    }
  state.SetItemsProcessed(messages);
}
BENCHMARK(encode_all);

}  // namespace

BENCHMARK_MAIN();
