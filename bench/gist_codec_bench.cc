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

}  // namespace

BENCHMARK_MAIN();
