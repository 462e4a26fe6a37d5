// The Wasm runtime against native C: time per packet of the same source at several batch sizes, a call into a module,
// compiling, and a cached start.
#include <benchmark/benchmark.h>

#include <cstring>
#include <optional>

#include "compile/check.h"
#include "compile/compiler.h"
#include "kernel.h"
#include "netserv/abi.h"
#include "runtime/wasm/descriptors.h"
#include "support/compiled_modules.h"
#include "support/rounds.h"

namespace netserv::bench {
namespace {

CompiledModules* modules = nullptr;

std::string wasm_file(const std::string& kernel) { return std::string(NETSERV_KERNELS) + "/" + kernel + ".wasm"; }

// 64 packets that hold the request, of 16 sources.
void fill_window() {
  for (std::size_t i = 0; i < NETSERV_BATCH_MAX; ++i) {
    std::byte* at = modules->window() + i * NETSERV_SLOT_BYTES;
    std::memset(at, 0, 28);
    at[0] = std::byte{0x45};
    at[8] = std::byte{64};
    at[12] = at[16] = std::byte{10};
    at[15] = static_cast<std::byte>(i % 16);
    std::memcpy(at + 28, kSipRequest.data(), kSipRequest.size());
  }
}

std::uint32_t packet_length(const std::string& kernel) {
  return kernel == "monitor" ? 64 : static_cast<std::uint32_t>(28 + kSipRequest.size());
}

// One kernel natively and as WebAssembly, in batches of one size.
class Pair {
 public:
  Pair(const std::string& kernel, std::size_t batch) : kernel_(kernel), views_(batch) {
    for (std::size_t i = 0; i < batch; ++i) {
      views_[i].window_offset = static_cast<std::uint32_t>(i * NETSERV_SLOT_BYTES);
      views_[i].length = views_[i].original_length = packet_length(kernel);
      views_[i].capacity = NETSERV_SLOT_BYTES;
    }
    const std::string name = kernel + "/" + std::to_string(batch);
    rounds_.emplace(std::vector<Contender>{{"native/" + name, [this] { native(); }}, {"wasm/" + name, [this] { wasm(); }}},
                    static_cast<int>(batch));
    rounds_->add_rows();
  }

 private:
  void native() {
    const auto process = kernel_ == "monitor" ? native_monitor : native_keepalive;
    runtime::write_descriptors(views_, 0, packets_);
    process(packets_, reinterpret_cast<const std::uint8_t*>(modules->window()), static_cast<std::uint32_t>(views_.size()));
    runtime::read_outcomes(packets_, views_);
    benchmark::ClobberMemory();
  }
  void wasm() {
    if (module_ == nullptr) module_ = modules->load(wasm_file(kernel_));
    if (!module_->process(views_)) give_up(kernel_ + ": trapped");
    const auto wanted = kernel_ == "monitor" ? dispatch::Verdict::kPass : dispatch::Verdict::kDrop;
    if (views_[0].verdict != wanted) give_up(kernel_ + ": wrong verdict");
    benchmark::ClobberMemory();
  }

  const std::string kernel_;
  std::vector<dispatch::PacketView> views_;
  netserv_packet packets_[NETSERV_BATCH_MAX];
  std::unique_ptr<dispatch::Module> module_;
  std::optional<Rounds> rounds_;
};

void per_packet(benchmark::State& state, std::size_t batch) {
  const double packets = static_cast<double>(state.iterations()) * static_cast<double>(batch);
  state.counters["ns_per_packet"] =
      benchmark::Counter(packets * 1e-9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// Two modules of a chain in turn, so that what a change of module costs is in it.
void chain_of_two(benchmark::State& state) {
  const auto batch = static_cast<std::size_t>(state.range(0));
  const auto first = modules->load(wasm_file("monitor")), second = modules->load(wasm_file("monitor"));
  std::vector<dispatch::PacketView> packets(batch);
  for (std::size_t i = 0; i < batch; ++i) {
    packets[i].window_offset = static_cast<std::uint32_t>(i * NETSERV_SLOT_BYTES);
    packets[i].length = 64;
    packets[i].capacity = NETSERV_SLOT_BYTES;
  }
  for (auto _ : state) {
    if (!first->process(packets) || !second->process(packets)) state.SkipWithError("trapped");
  }
  per_packet(state, 2 * batch);
}
BENCHMARK(chain_of_two)->Arg(32);

void call_into_module(benchmark::State& state) {
  const auto module = modules->load(wasm_file("monitor"));
  for (auto _ : state) {
    if (!module->timer(1)) state.SkipWithError("trapped");
  }
}
BENCHMARK(call_into_module);

void cached_start(benchmark::State& state) {
  modules->object(wasm_file("keepalive"));
  for (auto _ : state) benchmark::DoNotOptimize(modules->load(wasm_file("keepalive")));
}
BENCHMARK(cached_start)->Unit(benchmark::kMillisecond);

void compile_module(benchmark::State& state, const std::string& kernel) {
  const Bytes wasm_bytes = read_file(wasm_file(kernel));
  for (auto _ : state) {
    const auto module = must(compile::check_module(wasm_bytes));
    if (!compile::build_object(module, modules->folder(), modules->folder() + "/compiled.so")) state.SkipWithError("failed");
  }
}
BENCHMARK_CAPTURE(compile_module, monitor, std::string("monitor"))->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(compile_module, keepalive, std::string("keepalive"))->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace netserv::bench

int main(int argc, char** argv) {
  using namespace netserv::bench;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  CompiledModules here;
  modules = &here;
  fill_window();
  std::vector<std::unique_ptr<Pair>> pairs;
  for (const char* kernel : {"monitor", "keepalive"})
    for (std::size_t batch : {1, 32, 64}) pairs.push_back(std::make_unique<Pair>(kernel, batch));
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
