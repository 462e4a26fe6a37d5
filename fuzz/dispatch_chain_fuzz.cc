// The dispatcher under any order of loads, updates, unloads, batches, traps and time, against its invariants: a
// batch comes out with one sensible outcome a packet, and time never stands still at a deadline.
#include <cstdint>
#include <cstdlib>

#include "base/bytes.h"
#include "dispatch/fake/fake_runtime.h"

namespace {

using namespace netserv;
using namespace netserv::dispatch;

void require(bool truth) {
  if (!truth) std::abort();
}

std::string name_of(std::uint8_t byte) { return "m" + std::to_string(byte % 8); }

void batch(Dispatcher& dispatcher, FakeSurroundings& out, ByteReader& in) {
  std::vector<PacketJob> jobs(in.u8() % 80);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    jobs[i].view.window_offset = static_cast<std::uint32_t>(i * NETSERV_SLOT_BYTES);
    jobs[i].bytes = out.bytes.data() + i * NETSERV_SLOT_BYTES;
    jobs[i].view.length = in.u8();
    jobs[i].view.capacity = NETSERV_SLOT_BYTES;
    jobs[i].view.flags = in.u8() % 16 == 0 ? NETSERV_FLAG_COPY : 0;
    jobs[i].modules = in.u8();
  }
  dispatcher.process(jobs);
  for (const PacketJob& job : jobs) {
    require(job.length <= NETSERV_SLOT_BYTES);
    require((job.verdict == Verdict::kPass) == (job.decided_by == 0xff));
    if (job.skipped) require(job.verdict == Verdict::kPass && !job.changed);
    if (job.decided_by != 0xff) require((job.modules >> job.decided_by & 1) != 0);
    if ((job.view.flags & NETSERV_FLAG_COPY) != 0) require(job.verdict == Verdict::kPass && !job.changed);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader in(ByteSpan(reinterpret_cast<const std::byte*>(data), size));
  FakeRuntime runtime;
  static FakeSurroundings out;  // its window is megabytes, and nobody here writes to it
  out.time = TimePoint(std::chrono::hours(1));
  out.reports.clear();
  out.sockets_closed.clear();
  std::uint8_t mood = 0;  // what modules do next
  for (int i = 0; i < 8; ++i) {
    FakeBehaviour& b = runtime.behaviours["m" + std::to_string(i)];
    b.start = [&mood, i](ModuleHost& host, ModuleSlot slot) -> Status {
      host.set_timer(slot, mood, Duration(mood) * 1000, Duration(mood) * 100'000);
      host.log(slot, mood, "x");
      if (mood % 11 == 10) return fail(Origin::kPublisher, "m" + std::to_string(i), "no");
      return {};
    };
    b.timer = [&mood](std::uint32_t) -> Module::Run {
      if (mood % 7 == 6) return trap("timer");
      return {};
    };
    b.process = [&mood, i](std::span<PacketView> views) -> Module::Run {
      for (PacketView& view : views) {
        view.verdict = static_cast<Verdict>((mood >> i) % 4);
        view.changed = (mood + i) % 3 == 0;
        view.new_length = mood * 37u;
      }
      if ((mood ^ i) % 13 == 12) return trap("process");
      return {};
    };
  }
  Dispatcher dispatcher(runtime, out);
  while (in.remaining() > 0) {
    mood = in.u8();
    switch (in.u8() % 5) {
      case 0: {
        ipc::LoadModule load;
        load.module = ModuleId(name_of(in.u8()));
        load.slot = ModuleSlot(in.u8() % 72);
        load.order = static_cast<std::int8_t>(in.u8());
        load.age = in.u8();
        (void)dispatcher.load(load, "/modules/x");
        break;
      }
      case 1: dispatcher.unload(ModuleId(name_of(in.u8()))); break;
      case 2: (void)dispatcher.update({ModuleId(name_of(in.u8())), static_cast<std::int8_t>(in.u8()), {}}); break;
      case 3: batch(dispatcher, out, in); break;
      case 4: {
        out.time += std::chrono::milliseconds(in.u16());
        dispatcher.run_due(out.time);
        if (auto deadline = dispatcher.next_deadline()) require(*deadline > out.time);
        break;
      }
    }
    out.reports.clear();
  }
  int alive = 0;
  for (auto& [id, b] : runtime.behaviours) alive += b.alive;
  int running = 0;
  for (auto& module : dispatcher.modules()) running += module.health == ipc::ModuleHealth::kRunning;
  require(alive == running);
  return 0;
}
