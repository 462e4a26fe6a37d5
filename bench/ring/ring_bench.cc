// Ring and dispatcher without a kernel in between: 64-byte packets through the forwarder's core, a ring, and a module
// in a container process on a core of its own, and back. Contents are checked on the way out. Also the latency of a
// single packet.
#include <benchmark/benchmark.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "compile/check.h"
#include "compile/compiler.h"
#include "container_side.h"
#include "forward/forwarder.h"
#include "plane/ring_port.h"
#include "sys/clock.h"

namespace {

using namespace netserv;

constexpr std::size_t kPacketBytes = 64;
constexpr std::size_t kBatch = 64;
constexpr std::size_t kAhead = 448;  // in flight at most, of the ring's 512

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "ring_bench: %s\n", why.c_str());
  std::exit(1);
}

// Buffers in memory; keeps nothing of what has left.
class BenchPlane final : public forward::PacketPlane {
 public:
  BenchPlane() : buffers_(4096 * kPacketBytes) {
    for (std::uint32_t i = 4096; i > 0; --i) free_.push_back(i - 1);
    for (std::size_t i = 0; i < 4096; ++i) make(buffers_.data() + i * kPacketBytes);
  }
  forward::Packet next() {
    std::uint32_t n = free_.back();
    free_.pop_back();
    std::byte* data = buffers_.data() + n * kPacketBytes;
    ++sequence_;
    std::memcpy(data + 28, &sequence_, sizeof sequence_);
    return {n, data, kPacketBytes, kPacketBytes, kPacketBytes, 1, NETSERV_NO_VLAN, 0};
  }
  void finish(std::span<const forward::Outcome> outcomes) override {
    for (const auto& o : outcomes) free_.push_back(static_cast<std::uint32_t>(o.cookie));
    ended_ += outcomes.size();
  }
  bool send(ByteSpan) override { return true; }
  void flush() override {}
  std::uint64_t ended() const { return ended_; }

 private:
  static void make(std::byte* p) {
    const unsigned char header[28] = {0x45, 0, 0, kPacketBytes, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 1, 1,
                                      10,   0, 2, 2,            0x0f, 0xa0, 0x13, 0xc4, 0, 44, 0, 0};
    std::memcpy(p, header, sizeof header);
  }
  std::vector<std::byte> buffers_;
  std::vector<std::uint32_t> free_;
  std::uint64_t sequence_ = 0, ended_ = 0;
};

// A port that compares the bytes in the ring with what was put there, before it lets a slot go.
class CheckingPort final : public forward::ContainerPort {
 public:
  explicit CheckingPort(std::unique_ptr<ring::RingProducer> ring) : port_(std::move(ring)) {}
  std::optional<std::uint32_t> stage(ByteSpan packet, const forward::PortMeta& meta) override {
    auto slot = port_.stage(packet, meta);
    if (slot) std::memcpy(sent_[*slot].data(), packet.data(), kPacketBytes);
    return slot;
  }
  void release(std::uint32_t slot) override {
    std::array<std::byte, kPacketBytes> now;
    port_.copy_out(slot, now);
    wrong_ += std::memcmp(now.data(), sent_[slot].data(), kPacketBytes) != 0;
    port_.release(slot);
  }
  void publish() override { port_.publish(); }
  std::size_t reap(std::span<forward::PortAnswer> out) override { return port_.reap(out); }
  void copy_out(std::uint32_t slot, std::span<std::byte> to) const override { port_.copy_out(slot, to); }
  void abandon(std::uint32_t slot) override { port_.abandon(slot); }
  std::optional<forward::PortEmitted> take_emitted() override { return port_.take_emitted(); }
  std::uint64_t heartbeat() const override { return port_.heartbeat(); }
  std::string_view corrupt_reason() const override { return port_.corrupt_reason(); }
  void kick() override { port_.kick(); }
  std::uint64_t wrong() const { return wrong_; }

 private:
  plane::RingPort port_;
  std::array<std::array<std::byte, kPacketBytes>, ring::kSlots> sent_;
  std::uint64_t wrong_ = 0;
};

// NetMonitor as it is deployed: compiled from its .wasm.
struct Compiled {
  std::string folder, object;
  compile::Manifest manifest;
  Compiled() {
    char pattern[] = "/tmp/netserv-ring-bench-XXXXXX";
    folder = ::mkdtemp(pattern);
    std::ifstream file(NETSERV_BINARY_DIR "/modules/netmonitor.wasm", std::ios::binary);
    const std::string wasm{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    auto checked = compile::check_module(as_bytes(wasm));
    if (!checked) give_up(checked.error().message());
    manifest = checked->manifest;
    object = folder + "/netmonitor.so";
    if (auto built = compile::build_object(*checked, folder, object); !built) give_up(built.error().message());
  }
  ~Compiled() { std::filesystem::remove_all(folder); }
};

class Setting {
 public:
  Setting(const std::string& object, const compile::Manifest& manifest) : forwarder_(plane_, events_) {
    bench::pin_to_core(0);
    auto ring = ring::RingProducer::create("/dev/shm");
    if (!ring) give_up(ring.error().message());
    container_ = bench::start_container(**ring, object, manifest, 1);
    ipc::ConfigureContainer config;
    config.container = ContainerId(1);
    forwarder_.configure(config);
    auto port = std::make_unique<CheckingPort>(*std::move(ring));
    port_ = port.get();
    forwarder_.attach(config.container, std::move(port), sys::now());
    ipc::ModuleFilter filter;
    filter.filter.protocol = kProtocolUdp;
    filter.filter.destination_port = 5060;
    if (!forwarder_.set_filters(config.container, {filter})) give_up("filters refused");
    inject(1);  // the container has started, and its module, once this is back
    drain();
  }
  ~Setting() {
    ::kill(container_, SIGKILL);
    ::waitpid(container_, nullptr, 0);
  }
  void inject(std::size_t n) {
    std::array<forward::Packet, kBatch> batch;
    for (std::size_t i = 0; i < n; ++i) batch[i] = plane_.next();
    forwarder_.on_packets(std::span(batch).first(n), sys::now());
  }
  void make_room() {
    do forwarder_.poll(sys::now());
    while (forwarder_.in_flight() > kAhead - kBatch);
  }
  void drain() {
    while (forwarder_.in_flight() > 0) {
      forwarder_.poll(sys::now());
      if (int status; ::waitpid(container_, &status, WNOHANG) == container_) give_up("the container has ended");
    }
  }
  // Every packet had a container's verdict, and came back as it went.
  void judge(benchmark::State& state) {
    const auto& c = forwarder_.counters();
    if (c[forward::NodeCounter::kPacketsIn] != c[forward::NodeCounter::kProcessedPassed])
      state.SkipWithError("some packets had no verdict");
    if (port_->wrong() > 0) state.SkipWithError("some packets came back with other contents");
  }

 private:
  BenchPlane plane_;
  forward::ForwarderEvents events_;
  forward::Forwarder forwarder_;
  CheckingPort* port_ = nullptr;
  pid_t container_ = 0;
};

void throughput(benchmark::State& state, const std::string& object, const compile::Manifest& manifest) {
  Setting setting(object, manifest);
  std::int64_t packets = 0;
  for (auto _ : state) {
    setting.make_room();
    setting.inject(kBatch);
    packets += kBatch;
  }
  setting.drain();
  setting.judge(state);
  state.counters["packets_per_second"] = benchmark::Counter(static_cast<double>(packets), benchmark::Counter::kIsRate);
}

void latency(benchmark::State& state, const std::string& object, const compile::Manifest& manifest) {
  Setting setting(object, manifest);
  for (auto _ : state) {
    setting.inject(1);
    setting.drain();
  }
  setting.judge(state);
}

}  // namespace

int main(int argc, char** argv) {
  Compiled compiled;
  const compile::Manifest none;
  auto add = [&](const char* name, auto function, const std::string& object, const compile::Manifest& manifest) {
    benchmark::RegisterBenchmark(name, [=, &manifest](benchmark::State& state) { function(state, object, manifest); })
        ->UseRealTime();
  };
  add("ring/no_module/batch64", throughput, "", none);
  add("ring/netmonitor/batch64", throughput, compiled.object, compiled.manifest);
  add("ring/netmonitor/single_packet", latency, compiled.object, compiled.manifest);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
