// A whole container, as publishers get it: cold start, private memory, and packets through NetMonitor in the
// container's process over the shared ring, with no kernel in the way. Needs root.
#include <benchmark/benchmark.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <iterator>

#include "support/container_fixture.h"

namespace {

using namespace netserv;

bool ok(benchmark::State& state, const Status& status) {
  if (!status) state.SkipWithError(status.error().message().c_str());
  return status.has_value();
}

Status start_with_net_monitor(test::ContainerFixture& c) {
  NETSERV_TRY(c.start());
  NETSERV_TRY(c.connect());
  NETSERV_TRY(c.attach_ring(1));
  std::ifstream in(NETSERV_BINARY_DIR "/modules/netmonitor.wasm", std::ios::binary);
  std::string wasm(std::istreambuf_iterator<char>(in), {});
  NETSERV_TRY(test::compile(as_bytes(wasm), c.spec.module_folder, "netmonitor"));
  return c.load_object("NetMonitor_1", 0, "netmonitor.so");
}

// From the launcher's start until the container listens, network and limits in place.
void cold_start(benchmark::State& state) {
  for (auto _ : state) {
    test::ContainerFixture c;
    auto started = c.start();
    if (!started) return state.SkipWithError(started.error().message().c_str());
    state.SetIterationTime(std::chrono::duration<double>(started->cold_start).count());
  }
}
BENCHMARK(cold_start)->UseManualTime()->Iterations(5)->Unit(benchmark::kMillisecond);

// Private_Clean + Private_Dirty of the container's process and its lxc monitor, with NetMonitor loaded.
void private_memory(benchmark::State& state) {
  test::ContainerFixture c;
  if (!ok(state, start_with_net_monitor(c))) return;
  for (auto _ : state) {
  }
  auto found = c.list();
  if (!found || found->size() != 1) return state.SkipWithError("not found");
  pid_t init = (*found)[0].init_pid;
  std::uint64_t container = test::private_memory_bytes(init);
  std::uint64_t monitor = test::private_memory_bytes(test::parent_of(init));
  state.counters["bytes"] = static_cast<double>(container + monitor);
  state.counters["container_bytes"] = static_cast<double>(container);
  state.counters["monitor_bytes"] = static_cast<double>(monitor);
}
BENCHMARK(private_memory)->Iterations(1);

// A 64-byte UDP packet whose payload carries a number; NetMonitor passes it unchanged.
struct Packet {
  std::array<std::byte, 64> bytes{};
  Packet() {
    const unsigned char header[28] = {0x45, 0, 0, 64, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x30, 0, 0x30, 1, 0, 44};
    std::memcpy(bytes.data(), header, sizeof header);
  }
};

// The container's process on a core of its own, this one on another.
bool on_own_cores(benchmark::State& state, test::ContainerFixture& c) {
  auto found = c.list();
  if (!found || found->size() != 1) return state.SkipWithError("not found"), false;
  cpu_set_t first, last;
  CPU_ZERO(&first);
  CPU_ZERO(&last);
  CPU_SET(0, &first);
  CPU_SET(static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)) - 1, &last);
  bool pinned = ::sched_setaffinity(0, sizeof first, &first) == 0 && ::sched_setaffinity((*found)[0].init_pid, sizeof last, &last) == 0;
  if (!pinned) state.SkipWithError("cannot pin");
  return pinned;
}

// Batches of `range` packets, as many in flight as the ring holds; contents checked on the way out.
void ring_packets(benchmark::State& state) {
  test::ContainerFixture c;
  if (!ok(state, start_with_net_monitor(c)) || !on_own_cores(state, c)) return;
  const auto batch = static_cast<std::size_t>(state.range(0));
  Packet packet;
  ring::PacketMeta meta;
  meta.original_length = 64;
  meta.modules = 1;
  std::uint64_t done = 0, wrong = 0;
  std::array<ring::Reaped, 64> reaped;
  auto reap = [&] {
    std::size_t n = c.ring().reap(reaped);
    for (std::size_t i = 0; i < n; ++i) {
      std::array<std::byte, 64> back;
      c.ring().copy_out(reaped[i].slot, back);
      wrong += back != packet.bytes || reaped[i].skipped || reaped[i].verdict != NETSERV_PASS;
      c.ring().release(reaped[i].slot);
    }
    done += n;
    return n;
  };
  for (auto _ : state) {
    for (std::size_t i = 0; i < batch; ++i)
      while (!c.ring().stage(packet.bytes, meta)) reap();
    c.ring().publish();
    reap();
  }
  while (c.ring().in_container() > 0) reap();
  if (wrong != 0) return state.SkipWithError((std::to_string(wrong) + " packets came out changed, or passed by the module").c_str());
  state.SetItemsProcessed(static_cast<std::int64_t>(done));
}
BENCHMARK(ring_packets)->Arg(64)->UseRealTime()->MinTime(2);

// One packet there and back, nothing else in flight.
void ring_latency(benchmark::State& state) {
  test::ContainerFixture c;
  c.spec.spin_us = static_cast<std::uint32_t>(state.range(0));
  if (!ok(state, start_with_net_monitor(c)) || !on_own_cores(state, c)) return;
  Packet packet;
  for (auto _ : state) {
    auto verdict = c.through(packet.bytes, 1);
    if (!verdict) return state.SkipWithError("no answer");
    c.ring().release(verdict->slot);
  }
}
BENCHMARK(ring_latency)->Arg(0)->Arg(1000)->UseRealTime()->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
