// NetServ's own modules, time per packet in batches of 32: the same source natively and as WebAssembly.
//
//   native  called as a module that is no WebAssembly would be: the dispatcher's views into descriptors, the call,
//           the verdicts back
//   wasm    called as the dispatcher calls it
//   bare    native, without that: descriptors made once, nobody looks at the verdicts
// Where a module rewrites its packets, they are put into the window anew before each batch, on all sides alike; `fill`
// is what that alone costs.
#include <cstring>
#include <optional>

#include "netserv/abi.h"
#include "runtime/wasm/descriptors.h"
#include "support/compiled_modules.h"
#include "support/rounds.h"
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

namespace netserv::bench {
namespace {

constexpr std::uint32_t kBatch = 32;

struct Native {
  std::uint8_t* window;
  netserv_packet* batch;
  std::int32_t (*start)();
  void (*process)(std::int32_t);
};
constexpr Native kNetMonitor{netmonitor_window, netmonitor_batch, netmonitor_start, netmonitor_process};
constexpr Native kKeepAlive{keepalive_window, keepalive_batch, keepalive_start, keepalive_process};

struct Case {
  std::string name;
  std::string module;
  Native native;
  std::string_view payload;
  std::string swap;  // KeepAlive's property
  bool refill;
};

using Views = std::array<dispatch::PacketView, kBatch>;

Bytes udp_packet(std::string_view payload, std::uint32_t last) {
  ByteWriter w;
  w.u8(0x45), w.u8(0), w.u16(static_cast<std::uint16_t>(28 + payload.size())), w.u32(0), w.u8(63), w.u8(17), w.u16(0);
  w.u32(0xc0000200u | last), w.u32(0xc6336407), w.u16(5060), w.u16(5060);
  w.u16(static_cast<std::uint16_t>(8 + payload.size())), w.u16(0), w.text(payload);
  return w.take();
}

std::vector<Bytes> packets(std::string_view payload) {
  std::vector<Bytes> out;
  for (std::uint32_t i = 0; i < kBatch; i++) out.push_back(udp_packet(payload, i));
  return out;
}

void fill(void* window, const std::vector<Bytes>& all) {
  auto* to = static_cast<std::byte*>(window);
  for (std::uint32_t i = 0; i < kBatch; i++) std::memcpy(to + i * NETSERV_SLOT_BYTES, all[i].data(), all[i].size());
}

Views views_of(const std::vector<Bytes>& all) {
  Views views;
  for (std::uint32_t i = 0; i < kBatch; i++) {
    const auto size = static_cast<std::uint32_t>(all[i].size());
    views[i].window_offset = i * NETSERV_SLOT_BYTES;
    views[i].length = views[i].original_length = views[i].new_length = size;
    views[i].capacity = NETSERV_SLOT_BYTES;
  }
  return views;
}

// A module and what it is measured with; lives as long as its rounds.
class Setting {
 public:
  Setting(CompiledModules& modules, Case c) : modules_(modules), case_(std::move(c)), all_(packets(case_.payload)) {
    views_ = views_of(all_);
    rounds_.emplace(std::vector<Contender>{{"modules/" + case_.name + "/native", [this] { native(); }},
                                           {"modules/" + case_.name + "/wasm", [this] { wasm(); }},
                                           {"modules/" + case_.name + "/bare", [this] { bare(); }}},
                    kBatch);
    rounds_->add_rows();
  }

 private:
  void start() {
    testing::blocks().properties = {{"swap", case_.swap}};
    if (case_.native.start() != 0) give_up(case_.name + ": does not start natively");
    module_ = modules_.load(NETSERV_BINARY_DIR "/modules/" + case_.module + ".wasm", {{"swap", case_.swap}});
    fill(case_.native.window, all_);
    fill(modules_.window(), all_);
    runtime::write_descriptors(views_, 0, case_.native.batch);
  }
  void native() {
    if (module_ == nullptr) start();
    if (case_.refill) fill(case_.native.window, all_);
    runtime::write_descriptors(views_, 0, case_.native.batch);
    case_.native.process(kBatch);
    runtime::read_outcomes(case_.native.batch, views_);
    benchmark::ClobberMemory();
  }
  void wasm() {
    if (case_.refill) fill(modules_.window(), all_);
    if (!module_->process(views_)) give_up(case_.name + ": trapped");
    benchmark::ClobberMemory();
  }
  void bare() {
    if (case_.refill) fill(case_.native.window, all_);
    case_.native.process(kBatch);
    benchmark::ClobberMemory();
  }

  CompiledModules& modules_;
  const Case case_;
  const std::vector<Bytes> all_;
  Views views_;
  std::unique_ptr<dispatch::Module> module_;
  std::optional<Rounds> rounds_;
};

void fill_alone(benchmark::State& state, std::string_view payload) {
  const std::vector<Bytes> all = packets(payload);
  for (auto _ : state) {
    fill(keepalive_window, all);
    benchmark::ClobberMemory();
  }
  state.counters["ns_per_packet"] = benchmark::Counter(
      static_cast<double>(kBatch) * 1e-9, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

}  // namespace
}  // namespace netserv::bench

int main(int argc, char** argv) {
  using namespace netserv::bench;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  CompiledModules modules;
  Setting netmonitor(modules, {"netmonitor", "netmonitor", kNetMonitor, "thirty-six bytes of no importance...", "on", false});
  Setting look(modules, {"keepalive_look", "keepalive", kKeepAlive, kSipRequest, "off", false});
  Setting answer(modules, {"keepalive_answer", "keepalive", kKeepAlive, kSipRequest, "on", true});
  benchmark::RegisterBenchmark("modules/fill/sip", [](benchmark::State& s) { fill_alone(s, kSipRequest); });
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
