#include "container_side.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>

#include "dispatch/dispatcher.h"
#include "ring/ring_consumer.h"
#include "runtime/wasm/wasm_runtime.h"
#include "sys/clock.h"

namespace netserv::bench {
namespace {

constexpr int kSpins = 2000;  // looks at an empty ring before it sleeps

// A module's surroundings without sockets: what NetMonitor would report goes nowhere.
class Around final : public dispatch::Surroundings {
 public:
  TimePoint now() override { return sys::now(); }
  bool emit(ModuleSlot, std::span<const std::byte>) override { return false; }
  void report(ipc::FromContainer) override {}
  int udp_open(ModuleSlot, int, std::uint16_t) override { return -13; }
  int udp_send(ModuleSlot, int, int, std::span<const std::byte>, std::uint16_t, std::span<const std::byte>) override {
    return -9;
  }
  int udp_receive(ModuleSlot, int, int&, std::span<std::byte>, std::uint16_t&, std::span<std::byte>) override {
    return -9;
  }
  int udp_close(ModuleSlot, int) override { return -9; }
  void udp_close_all(ModuleSlot) override {}
};

[[noreturn]] void give_up(const Error& error) {
  std::fprintf(stderr, "container: %s\n", error.message().c_str());
  ::_exit(1);
}

void run_batch(ring::RingConsumer& ring, dispatch::Dispatcher* dispatcher, std::span<ring::SubmitDescriptor> batch) {
  std::array<dispatch::PacketJob, NETSERV_BATCH_MAX> jobs;
  std::array<ring::Completion, NETSERV_BATCH_MAX> verdicts;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const ring::SubmitDescriptor& d = batch[i];
    jobs[i] = {};
    jobs[i].modules = d.modules;
    jobs[i].bytes = ring.slot_bytes(d).data();
    jobs[i].view = {.window_offset = d.slot * ring::kSlotBytes + d.offset, .length = d.length,
                    .capacity = ring::kSlotBytes - d.offset, .original_length = d.original_length,
                    .received_ns = d.received_ns, .ingress = d.ingress, .vlan = d.vlan, .flags = d.flags};
  }
  if (dispatcher != nullptr) dispatcher->process(std::span(jobs).first(batch.size()));
  for (std::size_t i = 0; i < batch.size(); ++i)
    verdicts[i] = {batch[i].slot, jobs[i].length, static_cast<std::uint8_t>(jobs[i].verdict), jobs[i].changed,
                   jobs[i].decided_by, static_cast<std::uint8_t>(dispatcher != nullptr && jobs[i].skipped), 0};
  ring.complete(std::span(verdicts).first(batch.size()));
  ring.flush();
}

[[noreturn]] void run_container(ring::RingConsumer& ring, dispatch::Dispatcher* dispatcher) {
  std::array<ring::SubmitDescriptor, NETSERV_BATCH_MAX> batch;
  for (int idle = 0;;) {
    std::size_t n = ring.take(batch);
    if (n > 0) {
      run_batch(ring, dispatcher, std::span(batch).first(n));
      idle = 0;
    } else if (++idle < kSpins) {
      __builtin_ia32_pause();
    } else {
      if (ring.prepare_wait()) {
        pollfd p{ring.wake_fd(), POLLIN, 0};
        ::poll(&p, 1, -1);
      }
      ring.end_wait();
      idle = 0;
    }
  }
}

}  // namespace

void pin_to_core(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  ::sched_setaffinity(0, sizeof set, &set);
}

pid_t start_container(ring::RingProducer& ring, const std::string& object, const compile::Manifest& manifest,
                      int core) {
  pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  pin_to_core(core);
  auto far = ring::RingConsumer::attach(sys::UniqueFd(::dup(ring.file_fd())), sys::UniqueFd(::dup(ring.container_event_fd())),
                                        sys::UniqueFd(::dup(ring.forwarder_event_fd())));
  if (!far) give_up(far.error());
  if (object.empty()) run_container(**far, nullptr);
  auto runtime = runtime::make_wasm_runtime();
  if (!runtime) give_up(runtime.error());
  if (Status set = (*runtime)->set_window({{(*far)->file_fd(), ring::kWindowOffset, 0, NETSERV_WINDOW_BYTES}}); !set)
    give_up(set.error());
  Around around;
  dispatch::Dispatcher dispatcher(**runtime, around);
  ipc::LoadModule load;
  load.module = ModuleId(manifest.name + "_" + manifest.version);
  load.blocks = manifest.blocks;
  load.memory_pages = 64;
  if (Status loaded = dispatcher.load(load, object); !loaded) give_up(loaded.error());
  run_container(**far, &dispatcher);
}

}  // namespace netserv::bench
