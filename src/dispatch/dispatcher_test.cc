#include "dispatch/dispatcher.h"

#include <gtest/gtest.h>

#include <random>

#include "dispatch/fake/fake_runtime.h"

namespace netserv::dispatch {
namespace {

using std::chrono::milliseconds;

struct DispatcherTest : ::testing::Test {
  FakeRuntime runtime;
  FakeSurroundings out;
  Dispatcher dispatcher{runtime, out};

  void load(const std::string& id, int slot, int order = 0, std::uint64_t age = 0) {
    ipc::LoadModule request;
    request.module = ModuleId(id);
    request.slot = ModuleSlot(static_cast<std::uint8_t>(slot));
    request.order = order;
    request.age = age;
    ASSERT_TRUE(dispatcher.load(request, "/modules/" + id));
  }
  PacketJob job(std::uint32_t slot, std::uint64_t modules, std::uint32_t length = 60) {
    PacketJob j;
    j.view.window_offset = slot * NETSERV_SLOT_BYTES;
    j.bytes = out.bytes.data() + j.view.window_offset;
    j.view.length = length;
    j.view.capacity = NETSERV_SLOT_BYTES;
    j.modules = modules;
    return j;
  }
  void advance(Duration d) {
    out.time += d;
    dispatcher.run_due(out.time);
  }
  ipc::ModuleStatus status(const std::string& id) {
    for (auto& s : dispatcher.modules())
      if (s.module.value() == id) return s;
    ADD_FAILURE() << id << " is not loaded";
    return {};
  }
};

TEST_F(DispatcherTest, OrderThenAgeAndTheMaskDecideWhoSeesAPacket) {
  std::string trace;
  for (std::string id : {"a", "b", "c"})
    runtime.behaviours[id].process = [&trace, id](std::span<PacketView> batch) {
      trace += id + std::to_string(batch.size());
      return Module::Run{};
    };
  load("a", 0, 5, 1);
  load("b", 1, 0, 9);
  load("c", 2, 0, 3);
  std::vector<PacketJob> batch{job(0, 0b111), job(1, 0b001), job(2, 0b010), job(3, 0)};
  dispatcher.process(batch);
  EXPECT_EQ(trace, "c1b2a2");
  EXPECT_FALSE(batch[0].skipped);
  EXPECT_TRUE(batch[3].skipped);
  ASSERT_TRUE(dispatcher.update({ModuleId("a"), -1, {{"k", "v"}}}));
  EXPECT_EQ(runtime.behaviours["a"].properties.at("k"), "v");
  trace.clear();
  dispatcher.process(batch);
  EXPECT_EQ(trace, "a2c1b2");
}

TEST_F(DispatcherTest, VerdictsEndTheChainAndChangesAddUp) {
  runtime.behaviours["a"].process = [](std::span<PacketView> batch) {
    batch[0].verdict = Verdict::kDrop;
    batch[1].changed = true;
    batch[1].new_length = 99;
    return Module::Run{};
  };
  runtime.behaviours["b"].process = [](std::span<PacketView> batch) {
    EXPECT_EQ(batch.size(), 1u);
    EXPECT_EQ(batch[0].length, 99u);
    batch[0].verdict = Verdict::kReply;
    return Module::Run{};
  };
  load("a", 3);
  load("b", 7);
  std::vector<PacketJob> batch{job(0, ~0ull), job(1, ~0ull)};
  dispatcher.process(batch);
  EXPECT_EQ(batch[0].verdict, Verdict::kDrop);
  EXPECT_EQ(batch[0].decided_by, 3);
  EXPECT_EQ(batch[1].verdict, Verdict::kReply);
  EXPECT_EQ(batch[1].decided_by, 7);
  EXPECT_TRUE(batch[1].changed);
  EXPECT_EQ(batch[1].length, 99u);
  EXPECT_EQ(status("a").dropped, 1u);
  EXPECT_EQ(status("b").packets, 1u);
}

TEST_F(DispatcherTest, ACopyForAnObserverHasNoEffect) {
  runtime.behaviours["a"].process = [](std::span<PacketView> batch) {
    batch[0].verdict = Verdict::kDrop;
    batch[0].changed = true;
    return Module::Run{};
  };
  load("a", 0);
  std::vector<PacketJob> batch{job(0, 1)};
  batch[0].view.flags = NETSERV_FLAG_COPY;
  dispatcher.process(batch);
  EXPECT_EQ(batch[0].verdict, Verdict::kPass);
  EXPECT_FALSE(batch[0].changed);
  EXPECT_FALSE(batch[0].skipped);
}

TEST_F(DispatcherTest, NeighboursDoNotNoticeATrapNotEvenInTheBytes) {
  runtime.behaviours["first"].process = [&](std::span<PacketView> batch) {
    out.bytes[batch[0].window_offset] = std::byte{1};
    batch[0].changed = true;
    return Module::Run{};
  };
  runtime.behaviours["bad"].process = [&](std::span<PacketView> batch) -> Module::Run {
    out.bytes[batch[0].window_offset] = std::byte{0xee};
    batch[0].verdict = Verdict::kDrop;
    return trap("boom");
  };
  std::byte seen{};
  runtime.behaviours["last"].process = [&](std::span<PacketView> batch) {
    seen = out.bytes[batch[0].window_offset];
    return Module::Run{};
  };
  load("first", 0, 0);
  load("bad", 1, 1);
  load("last", 2, 2);
  std::vector<PacketJob> batch{job(5, 7)};
  dispatcher.process(batch);
  EXPECT_EQ(seen, std::byte{1});
  EXPECT_EQ(batch[0].verdict, Verdict::kPass);
  EXPECT_TRUE(batch[0].changed);
  EXPECT_EQ(runtime.behaviours["first"].loads, 1);
  EXPECT_EQ(runtime.behaviours["bad"].alive, 0);
  EXPECT_EQ(status("bad").health, ipc::ModuleHealth::kBackingOff);
  ASSERT_EQ(out.reports.size(), 1u);
  auto& report = std::get<ipc::ModuleTrapped>(out.reports[0]);
  EXPECT_EQ(report.reason, "unreachable: boom");
  EXPECT_EQ(report.restart_after_ms, 100u);
  EXPECT_EQ(out.sockets_closed, std::vector{ModuleSlot(1)});
}

TEST_F(DispatcherTest, BackOffDoublesUpToItsCapAndIsForgiven) {
  auto& bad = runtime.behaviours["bad"];
  bad.process = [](std::span<PacketView>) -> Module::Run { return trap("x"); };
  load("bad", 0);
  Duration expected = kFirstBackOff;
  for (int i = 0; i < 14; ++i) {
    std::vector<PacketJob> batch{job(0, 1)};
    dispatcher.process(batch);
    EXPECT_TRUE(batch[0].skipped);
    ASSERT_EQ(*dispatcher.next_deadline(), out.time + expected);
    advance(expected - Duration(1));
    EXPECT_EQ(bad.alive, 0);
    advance(Duration(1));
    EXPECT_EQ(bad.alive, 1);
    EXPECT_TRUE(std::holds_alternative<ipc::ModuleRestarted>(out.reports.back()));
    expected = std::min(expected * 2, kLastBackOff);
  }
  EXPECT_EQ(expected, kLastBackOff);
  advance(kForgiveAfter);
  std::vector<PacketJob> batch{job(0, 1)};
  dispatcher.process(batch);
  EXPECT_EQ(*dispatcher.next_deadline(), out.time + kFirstBackOff);
  EXPECT_EQ(status("bad").traps, 15u);
  EXPECT_EQ(status("bad").restarts, 14u);
}

TEST_F(DispatcherTest, AFailedRestartBacksOffFurther) {
  auto& bad = runtime.behaviours["bad"];
  bad.process = [](std::span<PacketView>) -> Module::Run { return trap("x"); };
  load("bad", 0);
  std::vector<PacketJob> batch{job(0, 1)};
  dispatcher.process(batch);
  bad.start = [](auto&, auto) -> Status { return fail(Origin::kPublisher, "bad", "no"); };
  advance(kFirstBackOff);
  EXPECT_EQ(std::get<ipc::ModuleTrapped>(out.reports.back()).restart_after_ms, 200u);
  bad.start = [](auto&, auto) { return Status{}; };
  advance(2 * kFirstBackOff);
  EXPECT_EQ(status("bad").health, ipc::ModuleHealth::kRunning);
}

TEST_F(DispatcherTest, AFailedLoadLeavesNothing) {
  runtime.behaviours["a"].start = [](ModuleHost& host, ModuleSlot slot) -> Status {
    host.set_timer(slot, 1, milliseconds(5), {});
    return fail(Origin::kPublisher, "a", "no");
  };
  ipc::LoadModule request;
  request.module = ModuleId("a");
  EXPECT_FALSE(dispatcher.load(request, "x"));
  EXPECT_FALSE(dispatcher.next_deadline());
  EXPECT_TRUE(dispatcher.modules().empty());
  runtime.behaviours["a"].start = [](auto&, auto) { return Status{}; };
  EXPECT_TRUE(dispatcher.load(request, "x"));
  EXPECT_FALSE(dispatcher.load(request, "x"));
  request.module = ModuleId("b");
  EXPECT_FALSE(dispatcher.load(request, "x"));  // the slot is taken
  request.slot = ModuleSlot(64);
  EXPECT_FALSE(dispatcher.load(request, "x"));
  dispatcher.unload(ModuleId("a"));
  EXPECT_EQ(runtime.behaviours["a"].stops, 1);
  dispatcher.unload(ModuleId("a"));
}

TEST_F(DispatcherTest, TimersOnceRepeatingCancelledAndBounded) {
  std::vector<std::uint32_t> ran;
  ModuleHost* host = nullptr;
  auto& a = runtime.behaviours["a"];
  a.start = [&](ModuleHost& h, ModuleSlot slot) {
    host = &h;
    h.set_timer(slot, 0, milliseconds(10), {});
    h.set_timer(slot, 63, milliseconds(10), milliseconds(10));
    h.set_timer(slot, 64, milliseconds(1), {});
    h.set_timer(slot, 2, Duration(1), Duration(1));  // taken as 1 ms
    return Status{};
  };
  a.timer = [&](std::uint32_t id) {
    ran.push_back(id);
    if (id == 2) host->cancel_timer(ModuleSlot(0), 2);
    return Module::Run{};
  };
  load("a", 0);
  EXPECT_EQ(*dispatcher.next_deadline(), out.time + milliseconds(1));
  advance(milliseconds(1));
  advance(milliseconds(9));
  EXPECT_EQ(ran, (std::vector<std::uint32_t>{2, 0, 63}));
  advance(milliseconds(35));  // three are missed, one runs
  EXPECT_EQ(ran.size(), 4u);
  a.timer = [&](std::uint32_t) -> Module::Run { return trap("in timer"); };
  advance(milliseconds(10));
  EXPECT_EQ(status("a").traps, 1u);
  EXPECT_EQ(*dispatcher.next_deadline(), out.time + kFirstBackOff);
}

TEST_F(DispatcherTest, LogsCountersAndEmissionsAreBounded) {
  runtime.behaviours["a"].start = [&](ModuleHost& h, ModuleSlot slot) {
    for (int i = 0; i < 30; ++i) h.log(slot, 9, std::string(2000, 'x'));
    for (int i = 0; i < 100; ++i) h.count(slot, "c" + std::to_string(i), 2);
    h.count(slot, "c0", 1);
    h.count(slot, std::string(65, 'n'), 1);
    for (int i = 0; i < 6; ++i) h.emit(slot, as_bytes("packet"));
    h.emit(slot, Bytes(NETSERV_SLOT_BYTES + 1));
    return Status{};
  };
  load("a", 0);
  EXPECT_EQ(out.reports.size(), kLogBurst);
  EXPECT_EQ(std::get<ipc::ModuleLog>(out.reports[0]).text.size(), kLogLineBytes);
  EXPECT_EQ(std::get<ipc::ModuleLog>(out.reports[0]).level, 3);
  auto s = status("a");
  EXPECT_EQ(s.log_lines_suppressed, 10u);
  EXPECT_EQ(s.counters.size(), kCountersPerModule);
  EXPECT_EQ(s.counters["c0"], 3u);
  EXPECT_EQ(s.emitted, 4u);
  EXPECT_EQ(s.emit_refused, 3u);
}

TEST_F(DispatcherTest, AModulesTextHasNoControlCharacters) {
  runtime.behaviours["a"].start = [&](ModuleHost& h, ModuleSlot slot) {
    h.log(slot, 1, "one\nforged: line \x1b[2J\x7f \xc3\xa4\t.");
    h.count(slot, std::string_view("a\0\rb", 4), 1);
    return Status{};
  };
  load("a", 0);
  EXPECT_EQ(std::get<ipc::ModuleLog>(out.reports.at(0)).text, "one?forged: line ?[2J? \xc3\xa4 .");
  EXPECT_EQ(status("a").counters["a??b"], 1u);
}

// Ten seconds of packets, a millisecond apart, through a chain whose middle module traps on every tenth that it sees.
TEST_F(DispatcherTest, AStreamGoesOnPastAModuleThatKeepsTrapping) {
  int first = 0, last = 0, bad = 0;
  runtime.behaviours["first"].process = [&](std::span<PacketView> batch) {
    first += static_cast<int>(batch.size());
    return Module::Run{};
  };
  runtime.behaviours["bad"].process = [&](std::span<PacketView> batch) -> Module::Run {
    if (++bad % 10 == 0) return trap("tenth");
    batch[0].verdict = Verdict::kDrop;
    return {};
  };
  runtime.behaviours["last"].process = [&](std::span<PacketView> batch) {
    last += static_cast<int>(batch.size());
    return Module::Run{};
  };
  load("first", 0, 0);
  load("bad", 1, 1);
  load("last", 2, 2);
  int dropped = 0, passed = 0;
  for (int i = 0; i < 10000; ++i) {
    std::vector<PacketJob> batch{job(static_cast<std::uint32_t>(i % 64), 7)};
    dispatcher.process(batch);
    EXPECT_FALSE(batch[0].skipped);
    ++(batch[0].verdict == Verdict::kDrop ? dropped : passed);
    advance(milliseconds(1));
  }
  EXPECT_EQ(first, 10000);
  EXPECT_EQ(last, passed);  // each packet that the bad one did not drop, the one it trapped on too
  const auto status_of_bad = status("bad");
  EXPECT_EQ(dropped, bad - static_cast<int>(status_of_bad.traps));
  // Backing off 0.1, 0.2 ... 6.4 s: the seventh wait outlasts the stream.
  EXPECT_EQ(status_of_bad.traps, 7u);
  EXPECT_EQ(status_of_bad.restarts, 6u);
  EXPECT_EQ(status_of_bad.health, ipc::ModuleHealth::kBackingOff);
  for (const char* neighbour : {"first", "last"}) {
    EXPECT_EQ(runtime.behaviours[neighbour].loads, 1);
    EXPECT_EQ(status(neighbour).traps, 0u);
  }
}

// Random chains over random packets against the definition, written the slow way.
TEST_F(DispatcherTest, AgreesWithTheDefinitionOnRandomChains) {
  std::mt19937 random(20260101);
  constexpr int kModules = 6;
  struct Decision {
    Verdict verdict;
    bool changed;
  };
  std::map<std::pair<int, std::uint32_t>, Decision> decisions;  // module, window slot
  std::vector<bool> traps(kModules);
  for (int m = 0; m < kModules; ++m) {
    runtime.behaviours["m" + std::to_string(m)].process = [&, m](std::span<PacketView> batch) -> Module::Run {
      for (PacketView& view : batch) {
        std::uint32_t slot = view.window_offset / NETSERV_SLOT_BYTES;
        Decision d = decisions.at({m, slot});
        if (d.changed || traps[m]) out.bytes[view.window_offset] ^= std::byte(1 << m);
        view.verdict = d.verdict;
        view.changed = d.changed;
      }
      if (traps[m]) return trap("random");
      return {};
    };
    load("m" + std::to_string(m), m, m % 3, static_cast<std::uint64_t>(10 - m));
  }
  std::vector<int> chain{3, 0, 4, 1, 5, 2};  // by order (m % 3), then age (10 - m)
  for (int round = 0; round < 300; ++round) {
    decisions.clear();
    std::vector<PacketJob> batch;
    std::uint32_t size = 1 + random() % NETSERV_BATCH_MAX;
    for (std::uint32_t slot = 0; slot < size; ++slot) {
      batch.push_back(job(slot, random() % (1 << kModules)));
      out.bytes[slot * NETSERV_SLOT_BYTES] = std::byte{0};
      for (int m = 0; m < kModules; ++m)
        decisions[{m, slot}] = {random() % 3 ? Verdict::kPass : Verdict(1 + random() % 3), random() % 2 == 0};
    }
    for (int m = 0; m < kModules; ++m) traps[m] = random() % 8 == 0;
    dispatcher.process(batch);
    for (std::uint32_t slot = 0; slot < batch.size(); ++slot) {
      PacketJob want = job(slot, batch[slot].modules);
      std::byte content{0};
      for (int m : chain) {
        if ((want.modules >> m & 1) == 0 || traps[m] || want.verdict != Verdict::kPass) continue;
        want.skipped = false;
        Decision d = decisions[{m, slot}];
        if (d.changed) content ^= std::byte(1 << m), want.changed = true;
        want.verdict = d.verdict;
        if (d.verdict != Verdict::kPass) want.decided_by = static_cast<std::uint8_t>(m);
      }
      ASSERT_EQ(batch[slot].verdict, want.verdict);
      ASSERT_EQ(batch[slot].changed, want.changed);
      ASSERT_EQ(batch[slot].skipped, want.skipped);
      ASSERT_EQ(batch[slot].decided_by, want.decided_by);
      // Bytes count only where a change is flagged.
      if (want.changed) {
        ASSERT_EQ(out.bytes[slot * NETSERV_SLOT_BYTES], content);
      }
    }
    advance(kLastBackOff);
    advance(kForgiveAfter);
  }
}

}  // namespace
}  // namespace netserv::dispatch
