// The Wasm runtime against native C: time per packet of the same source at several batch sizes, a call into a module,
// compiling, and a cached start.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/mman.h>
#include <unistd.h>

#include "compile/check.h"
#include "compile/compiler.h"
#include "kernel.h"
#include "runtime/wasm/wasm_runtime.h"

namespace {

using namespace netserv;

constexpr std::string_view kRequest =
    "NOTIFY sip:proxy.example.com SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 192.0.2.17:5060;branch=z9hG4bK-524287-1---8f3a;rport\r\n"
    "Max-Forwards: 70\r\n"
    "To: <sip:alice@example.com>\r\n"
    "From: <sip:alice@example.com>;tag=1928301774\r\n"
    "Call-ID: a84b4c76e66710@192.0.2.17\r\n"
    "CSeq: 314159 NOTIFY\r\n"
    "Event: keep-alive\r\n"
    "User-Agent: example/1.0\r\n"
    "Content-Length: 0\r\n\r\n";

class Host final : public dispatch::ModuleHost {
  bool emit(ModuleSlot, std::span<const std::byte>) override { return true; }
  void log(ModuleSlot, int, std::string_view) override {}
  void set_timer(ModuleSlot, std::uint32_t, Duration, Duration) override {}
  void cancel_timer(ModuleSlot, std::uint32_t) override {}
  TimePoint now() override { return {}; }
  void count(ModuleSlot, std::string_view, std::uint64_t) override {}
  int udp_open(ModuleSlot, int, std::uint16_t) override { return -1; }
  int udp_send(ModuleSlot, int, int, std::span<const std::byte>, std::uint16_t, std::span<const std::byte>) override {
    return -1;
  }
  int udp_receive(ModuleSlot, int, int&, std::span<std::byte>, std::uint16_t&, std::span<std::byte>) override { return -1; }
  int udp_close(ModuleSlot, int) override { return -1; }
};

Bytes read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const ByteSpan bytes = as_bytes(text);
  return Bytes(bytes.begin(), bytes.end());
}

template <class T>
T must(Result<T> result) {
  if (result) return *std::move(result);
  std::fprintf(stderr, "%s\n", result.error().message().c_str());
  std::exit(1);
}

class Setting {
 public:
  Setting() {
    char pattern[] = "/tmp/netserv-bench-XXXXXX";
    folder_ = mkdtemp(pattern);
    const std::string path = folder_ + "/window";
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (ftruncate(fd, NETSERV_WINDOW_BYTES) != 0) std::exit(1);
    window_ = static_cast<std::byte*>(mmap(nullptr, NETSERV_WINDOW_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    runtime_ = must(runtime::make_wasm_runtime());
    if (!runtime_->set_window(fd, 0, NETSERV_WINDOW_BYTES)) std::exit(1);
    close(fd);
    for (std::size_t i = 0; i < NETSERV_BATCH_MAX; ++i) {
      std::byte* at = window_ + i * NETSERV_SLOT_BYTES;
      std::memset(at, 0, 28);
      at[0] = std::byte{0x45};
      at[8] = std::byte{64};
      at[12] = at[16] = std::byte{10};
      at[15] = static_cast<std::byte>(i % 16);
      std::memcpy(at + 28, kRequest.data(), kRequest.size());
    }
  }
  ~Setting() {
    runtime_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::string object(const std::string& kernel) {
    const std::string path = folder_ + "/" + kernel + ".so";
    if (std::filesystem::exists(path)) return path;
    const auto module = must(compile::check_module(read_file(std::string(NETSERV_KERNELS) + "/" + kernel + ".wasm")));
    if (auto built = compile::build_object(module, folder_, path); !built) {
      std::fprintf(stderr, "%s\n", built.error().message().c_str());
      std::exit(1);
    }
    return path;
  }
  std::unique_ptr<dispatch::Module> load(const std::string& kernel) {
    dispatch::ModuleSpec spec;
    spec.id = ModuleId(kernel);
    spec.object_path = object(kernel);
    return must(runtime_->load(spec, host_));
  }
  std::byte* window() { return window_; }
  const std::string& folder() const { return folder_; }

 private:
  std::string folder_;
  std::byte* window_ = nullptr;
  Host host_;
  std::unique_ptr<dispatch::ModuleRuntime> runtime_;
};

Setting* setting = nullptr;

std::uint32_t packet_length(const std::string& kernel) {
  return kernel == "monitor" ? 64 : static_cast<std::uint32_t>(28 + kRequest.size());
}

void per_packet(benchmark::State& state, std::size_t batch) {
  const double packets = static_cast<double>(state.iterations()) * static_cast<double>(batch);
  state.counters["ns_per_packet"] =
      benchmark::Counter(packets * 1e-9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void native(benchmark::State& state, const std::string& kernel) {
  const auto batch = static_cast<std::size_t>(state.range(0));
  const auto process = kernel == "monitor" ? native_monitor : native_keepalive;
  static netserv_packet packets[NETSERV_BATCH_MAX];
  for (auto _ : state) {
    for (std::size_t i = 0; i < batch; ++i) {
      packets[i] = {};
      packets[i].data = static_cast<std::uint32_t>(i * NETSERV_SLOT_BYTES);
      packets[i].length = packets[i].new_length = packet_length(kernel);
      packets[i].capacity = NETSERV_SLOT_BYTES;
    }
    process(packets, reinterpret_cast<const std::uint8_t*>(setting->window()), static_cast<std::uint32_t>(batch));
    benchmark::ClobberMemory();
  }
  per_packet(state, batch);
}

void wasm(benchmark::State& state, const std::string& kernel) {
  const auto batch = static_cast<std::size_t>(state.range(0));
  const auto module = setting->load(kernel);
  std::vector<dispatch::PacketView> packets(batch);
  for (std::size_t i = 0; i < batch; ++i) {
    packets[i].window_offset = static_cast<std::uint32_t>(i * NETSERV_SLOT_BYTES);
    packets[i].length = packets[i].original_length = packet_length(kernel);
    packets[i].capacity = NETSERV_SLOT_BYTES;
  }
  for (auto _ : state) {
    if (!module->process(packets)) state.SkipWithError("trapped");
  }
  const auto wanted = kernel == "monitor" ? dispatch::Verdict::kPass : dispatch::Verdict::kDrop;
  if (packets[0].verdict != wanted) state.SkipWithError("wrong verdict");
  per_packet(state, batch);
}

BENCHMARK_CAPTURE(native, monitor, std::string("monitor"))->Arg(1)->Arg(32)->Arg(64);
BENCHMARK_CAPTURE(wasm, monitor, std::string("monitor"))->Arg(1)->Arg(32)->Arg(64);
BENCHMARK_CAPTURE(native, keepalive, std::string("keepalive"))->Arg(1)->Arg(32)->Arg(64);
BENCHMARK_CAPTURE(wasm, keepalive, std::string("keepalive"))->Arg(1)->Arg(32)->Arg(64);

// Two modules of a chain in turn, so that what a change of module costs is in it.
void chain_of_two(benchmark::State& state) {
  const auto batch = static_cast<std::size_t>(state.range(0));
  const auto first = setting->load("monitor"), second = setting->load("monitor");
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
  const auto module = setting->load("monitor");
  for (auto _ : state) {
    if (!module->timer(1)) state.SkipWithError("trapped");
  }
}
BENCHMARK(call_into_module);

void cached_start(benchmark::State& state) {
  setting->object("keepalive");
  for (auto _ : state) benchmark::DoNotOptimize(setting->load("keepalive"));
}
BENCHMARK(cached_start)->Unit(benchmark::kMillisecond);

void compile_module(benchmark::State& state, const std::string& kernel) {
  const Bytes wasm_bytes = read_file(std::string(NETSERV_KERNELS) + "/" + kernel + ".wasm");
  for (auto _ : state) {
    const auto module = must(compile::check_module(wasm_bytes));
    if (!compile::build_object(module, setting->folder(), setting->folder() + "/compiled.so")) state.SkipWithError("failed");
  }
}
BENCHMARK_CAPTURE(compile_module, keepalive, std::string("keepalive"))->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  Setting here;
  setting = &here;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
