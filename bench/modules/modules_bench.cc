// NetServ's own modules, time per packet: the same source natively and as WebAssembly, in batches of 32. Where a module
// rewrites its packets, they are put into the window anew before each batch, on both sides alike; `fill` is what that
// alone costs.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "compile/check.h"
#include "compile/compiler.h"
#include "runtime/wasm/wasm_runtime.h"
#include "testing/fake_blocks.h"

#define NETSERV_NATIVE_MODULE(name)                        \
  extern "C" {                                             \
  extern std::uint8_t name##_window[NETSERV_WINDOW_BYTES]; \
  extern netserv_packet name##_batch[NETSERV_BATCH_MAX];   \
  std::int32_t name##_start();                             \
  void name##_process(std::int32_t count);                 \
  }
// modules/CMakeLists.txt gives the symbols of natively built modules these names, so that both fit in one program.
NETSERV_NATIVE_MODULE(netmonitor)
NETSERV_NATIVE_MODULE(keepalive)

namespace {

using namespace netserv;

constexpr std::uint32_t kBatch = 32;
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

template <class T>
T must(Result<T> result) {
  if (result) return *std::move(result);
  std::fprintf(stderr, "%s\n", result.error().message().c_str());
  std::exit(1);
}

Bytes udp_packet(std::string_view payload, std::uint8_t last) {
  ByteWriter w;
  w.u8(0x45), w.u8(0), w.u16(static_cast<std::uint16_t>(28 + payload.size())), w.u32(0), w.u8(63), w.u8(17), w.u16(0);
  w.u32(0xc0000200u | last), w.u32(0xc6336407), w.u16(5060), w.u16(5060);
  w.u16(static_cast<std::uint16_t>(8 + payload.size())), w.u16(0), w.text(payload);
  return w.take();
}

std::vector<Bytes> packets(std::string_view payload) {
  std::vector<Bytes> out;
  for (std::uint32_t i = 0; i < kBatch; i++) out.push_back(udp_packet(payload, static_cast<std::uint8_t>(i)));
  return out;
}
std::string_view payload_of(bool sip) { return sip ? kRequest : std::string_view("thirty-six bytes of no importance...."); }

void per_packet(benchmark::State& state) {
  state.counters["ns_per_packet"] = benchmark::Counter(
      static_cast<double>(kBatch) * 1e-9, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void fill_native(std::uint8_t* window, netserv_packet* batch, const std::vector<Bytes>& all) {
  for (std::uint32_t i = 0; i < kBatch; i++) {
    const auto size = static_cast<std::uint32_t>(all[i].size());
    std::memcpy(window + i * NETSERV_SLOT_BYTES, all[i].data(), size);
    batch[i] = {};
    batch[i].data = i * NETSERV_SLOT_BYTES;
    batch[i].length = batch[i].original_length = batch[i].new_length = size;
    batch[i].capacity = NETSERV_SLOT_BYTES;
  }
}

void native(benchmark::State& state, std::uint8_t* window, netserv_packet* batch, std::int32_t (*start)(),
            void (*process)(std::int32_t), bool sip, const char* swap, bool refill) {
  testing::blocks().properties = {{"swap", swap}};
  if (start() != 0) std::exit(1);
  const std::vector<Bytes> all = packets(payload_of(sip));
  fill_native(window, batch, all);
  for (auto _ : state) {
    if (refill) fill_native(window, batch, all);
    process(kBatch);
    benchmark::DoNotOptimize(batch[kBatch - 1].verdict);
    benchmark::ClobberMemory();
  }
  per_packet(state);
}

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

// The object of build/modules/NAME.wasm, compiled once.
std::string object_of(const std::string& name) {
  static const std::filesystem::path folder = [] {
    std::string path = (std::filesystem::temp_directory_path() / "netserv-bench-XXXXXX").string();
    if (!mkdtemp(path.data())) std::exit(1);
    return path;
  }();
  const std::string object = folder / (name + ".so");
  if (!std::filesystem::exists(object)) {
    std::ifstream file(NETSERV_BINARY_DIR "/modules/" + name + ".wasm", std::ios::binary);
    const std::string wasm{std::istreambuf_iterator<char>(file), {}};
    const auto module = must(compile::check_module(as_bytes(wasm)));
    if (auto built = compile::build_object(module, folder, object); !built) {
      std::fprintf(stderr, "%s\n", built.error().message().c_str());
      std::exit(1);
    }
  }
  return object;
}

void fill_views(std::uint8_t* window, std::array<dispatch::PacketView, kBatch>& views, const std::vector<Bytes>& all) {
  for (std::uint32_t i = 0; i < kBatch; i++) {
    const auto size = static_cast<std::uint32_t>(all[i].size());
    std::memcpy(window + i * NETSERV_SLOT_BYTES, all[i].data(), size);
    views[i] = {};
    views[i].window_offset = i * NETSERV_SLOT_BYTES;
    views[i].length = views[i].original_length = views[i].new_length = size;
    views[i].capacity = NETSERV_SLOT_BYTES;
  }
}

void wasm(benchmark::State& state, const std::string& name, bool sip, const char* swap, bool refill) {
  Host host;
  auto runtime = must(runtime::make_wasm_runtime());
  const int fd = memfd_create("window", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, NETSERV_WINDOW_BYTES) < 0 || !runtime->set_window(fd, 0, NETSERV_WINDOW_BYTES)) std::exit(1);
  void* mapped = mmap(nullptr, NETSERV_WINDOW_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) std::exit(1);
  auto* window = static_cast<std::uint8_t*>(mapped);
  close(fd);
  dispatch::ModuleSpec spec{ModuleId(name), ModuleSlot(0), object_of(name), {{"swap", swap}},
                            {"packet/1", "timer/1", "log/1", "properties/1", "counters/1", "udp/1"}, 64};
  {
    auto module = must(runtime->load(spec, host));
    const std::vector<Bytes> all = packets(payload_of(sip));
    std::array<dispatch::PacketView, kBatch> views;
    fill_views(window, views, all);
    for (auto _ : state) {
      if (refill) fill_views(window, views, all);
      if (!module->process(views)) std::exit(1);
      benchmark::DoNotOptimize(views[kBatch - 1].verdict);
      benchmark::ClobberMemory();
    }
  }
  per_packet(state);
  munmap(mapped, NETSERV_WINDOW_BYTES);
}

void fill(benchmark::State& state, bool sip) {
  const std::vector<Bytes> all = packets(payload_of(sip));
  for (auto _ : state) {
    fill_native(netmonitor_window, netmonitor_batch, all);
    benchmark::ClobberMemory();
  }
  per_packet(state);
}

void native_netmonitor(benchmark::State& s) {
  native(s, netmonitor_window, netmonitor_batch, netmonitor_start, netmonitor_process, false, "on", false);
}
void native_keepalive(benchmark::State& s, const char* swap, bool refill) {
  native(s, keepalive_window, keepalive_batch, keepalive_start, keepalive_process, true, swap, refill);
}

BENCHMARK_CAPTURE(fill, small, false)->Name("modules/fill/small");
BENCHMARK_CAPTURE(fill, sip, true)->Name("modules/fill/sip");
BENCHMARK(native_netmonitor)->Name("modules/netmonitor/native");
BENCHMARK_CAPTURE(wasm, netmonitor, "netmonitor", false, "on", false)->Name("modules/netmonitor/wasm");
BENCHMARK_CAPTURE(native_keepalive, look, "off", false)->Name("modules/keepalive_look/native");
BENCHMARK_CAPTURE(wasm, keepalive_look, "keepalive", true, "off", false)->Name("modules/keepalive_look/wasm");
BENCHMARK_CAPTURE(native_keepalive, answer, "on", true)->Name("modules/keepalive_answer/native");
BENCHMARK_CAPTURE(wasm, keepalive_answer, "keepalive", true, "on", true)->Name("modules/keepalive_answer/wasm");

}  // namespace

BENCHMARK_MAIN();
