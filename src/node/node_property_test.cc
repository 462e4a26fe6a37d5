// Random events with fixed seeds: the invariants of step.h hold, and the node converges.
#include <gtest/gtest.h>

#include <random>

#include "node/fake/bench.h"

namespace netserv::node {
namespace {

using fake::Bench;
using fake::kAlice;
using fake::kBob;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Everything in the store that may run does, at its slot and with its filters; nothing else is anywhere.
void expect_converged(Bench& b, const std::string& where) {
  std::size_t modules = 0, filters = 0;
  for (const auto& [key, record] : b.store.modules) {
    if (record.failure) continue;
    bool on = !b.store.switches.disabled.count(key.publisher);
    ASSERT_EQ(b.state(key.module.value(), key.publisher), on ? ModuleState::kActive : ModuleState::kResolved)
        << where << " " << key.module.value();
    if (!on) continue;
    ++modules;
    filters += record.spec.filters.size();
    auto& loaded = b.world.containers[record.container].modules;
    ASSERT_TRUE(loaded.count(key.module)) << where;
    ASSERT_EQ(loaded[key.module].slot, record.slot) << where;
  }
  ASSERT_EQ(b.loaded(), modules) << where;
  ASSERT_EQ(b.filters(), filters) << where;
  for (const auto& [key, m] : b.controller->state().modules) {
    ASSERT_TRUE(b.store.modules.count(key)) << where << " left over: " << key.module.value();
    ASSERT_TRUE(m.waiting.empty() && m.removals.empty()) << where;
  }
  ASSERT_TRUE(b.world.violations.empty()) << where << " " << b.world.violations.front();
}

void random_event(Bench& b, std::mt19937& random) {
  static const char* kIds[] = {"A_1", "A_2", "B_1", "C_1", "Bad_1", "Broken_1"};
  const PublisherId& who = random() % 3 ? kAlice : kBob;
  std::string id = kIds[random() % 6];
  ModuleSpec spec = Bench::spec(static_cast<std::uint16_t>(5060 + random() % 2));
  if (id == "Bad_1") spec.url = "http://bad/";
  if (random() % 5 == 0) spec.filters.clear();
  if (random() % 6 == 0) spec.options.fail_closed = true;
  switch (random() % 16) {
    case 0: case 1: case 2: case 3: b.setup(id, spec, who); break;
    case 4: b.remove(id, who); break;
    case 5: b.remove("A", who); break;
    case 6: b.controller->handle(Enable{RequestId(b.next_request++), who, random() % 3 != 0}); break;
    case 7: b.world.restart_forwarder(); break;
    case 8: if (!b.world.containers.empty()) b.world.kill_container(b.world.containers.begin()->first); break;
    case 9: b.pass(seconds(random() % 100)); break;
    case 10: b.start(); break;
    case 11: b.controller->handle(Drain{RequestId(b.next_request++), random() % 2 == 0}); break;
    case 12: b.say_late(random); break;
    default:
      for (unsigned n = random() % 6; n > 0; --n) b.deliver();
  }
}

void prepare(Bench& b) {
  b.world.bad_urls = {"http://bad/"};
  b.world.bad_objects = {"Broken_1.so"};
}

TEST(NodeProperty, RandomEventsKeepTheInvariantsAndConverge) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    std::mt19937 random(seed);
    Bench b;
    prepare(b);
    for (int n = 0; n < 120; ++n) {
      random_event(b, random);
      ASSERT_TRUE(b.world.violations.empty()) << "seed " << seed << " event " << n << " " << b.world.violations.front();
    }
    b.pass(seconds(120));
    expect_converged(b, "seed " + std::to_string(seed));
    if (HasFatalFailure()) return;
  }
}

// Whoever has taken over a container's process says what it likes: as netservd's links let it through.
Event hostile_words(Bench& b, std::mt19937& random) {
  static const char* kIds[] = {"A_1", "A_2", "B_1", "C_1", "Broken_1", "Never_1", "Ghost_7"};
  const ModuleId id(kIds[random() % 7]);
  auto status = [&](const char* name) {
    ipc::ModuleStatus s;
    s.module = ModuleId(name);
    s.slot = ModuleSlot(static_cast<std::uint8_t>(random() % 64));
    s.object = random() % 2 ? "x.so" : std::string(name) + ".so";
    s.health = random() % 2 ? ipc::ModuleHealth::kRunning : ipc::ModuleHealth::kBackingOff;
    return s;
  };
  ipc::Welcome welcome{1, "wasm", random() % 3, {}};
  for (const char* name : kIds)
    if (random() % 2) welcome.modules.push_back(status(name));
  const ContainerId at(1 + static_cast<std::uint32_t>(random() % 3));
  auto it = b.controller->state().containers.find(at);
  if (it == b.controller->state().containers.end() || it->second.record.publisher != kAlice) return Tick{};
  const std::uint64_t life = it->second.life;
  auto said = [&](ipc::FromContainer what) { return Event(ContainerSaid{at, life, std::move(what)}); };
  switch (random() % 10) {
    case 0: return ContainerUp{at, life, welcome};
    case 1: return said(welcome);
    case 2: return said(ipc::RingAttached{random() % 4, random() % 2 ? "no room" : ""});
    case 3: return said(ipc::ModuleLoaded{id});
    case 4: return said(ipc::ModuleFailed{id, "why"});
    case 5: return said(ipc::ModuleUpdated{id, "why"});
    case 6: return said(ipc::ModuleUnloaded{id});
    case 7: return said(ipc::ModuleTrapped{id, "why", 0});
    case 8: return said(ipc::ModuleRestarted{id});
    default: return ContainerGone{at, life, "it ended"};
  }
}

TEST(NodeProperty, AHostileContainerHarmsItsOwnPublisherAlone) {
  for (unsigned seed = 300; seed < 340; ++seed) {
    std::mt19937 random(seed);
    Bench b;
    b.setup("Mon_1.0", Bench::spec(), kBob);
    b.settle();
    const std::uint64_t life = b.controller->state().containers.at(ContainerId(1)).life;
    for (int n = 0; n < 300; ++n) {
      if (random() % 4 == 0) b.setup(random() % 2 ? "A_1" : "B_1", Bench::spec(), kAlice);
      if (random() % 8 == 0) b.remove("A", kAlice);
      if (random() % 16 == 0) b.pass(milliseconds(random() % 3000));
      b.controller->handle(hostile_words(b, random));
      if (random() % 2) b.deliver();
      ASSERT_EQ(b.state("Mon_1.0", kBob), ModuleState::kActive) << "seed " << seed << " event " << n;
    }
    EXPECT_LE(b.controller->state().modules.size(), 10u) << "seed " << seed;
    b.remove("A", kAlice);
    b.remove("B", kAlice);
    b.pass(seconds(100));
    EXPECT_EQ(b.state("Mon_1.0", kBob), ModuleState::kActive) << "seed " << seed;
    EXPECT_EQ(b.controller->state().containers.at(ContainerId(1)).life, life) << "bob's container was not restarted";
  }
}

TEST(NodeProperty, ACrashAtAnyActionConverges) {
  for (long at = 0; at < 60; ++at) {
    Bench b;
    prepare(b);
    b.setup("Old_1");
    b.settle();
    b.world.actions_until_crash = at;
    std::mt19937 random(7);
    b.setup("A_1");
    b.setup("Old_2");
    b.settle();
    b.setup("A_1", Bench::spec(5061));
    b.settle();
    b.remove("A_1");
    b.setup("B_1", Bench::spec(), kBob);
    b.settle();
    b.start();
    b.pass(seconds(100));
    expect_converged(b, "crash after action " + std::to_string(at));
    if (HasFatalFailure()) return;
  }
}

TEST(NodeProperty, NothingIsLeftAfterEverythingIsRemoved) {
  for (unsigned seed = 100; seed < 120; ++seed) {
    std::mt19937 random(seed);
    Bench b;
    prepare(b);
    for (int n = 0; n < 60; ++n) random_event(b, random);
    for (const PublisherId& who : {kAlice, kBob}) {
      b.controller->handle(Enable{RequestId(b.next_request++), who, true});
      for (const char* name : {"A", "B", "C", "Bad", "Broken"}) b.remove(name, who);
    }
    b.pass(seconds(130));
    EXPECT_TRUE(b.world.containers.empty()) << seed;
    EXPECT_TRUE(b.world.forwarder.empty()) << seed;
    EXPECT_TRUE(b.store.modules.empty()) << seed;
    EXPECT_TRUE(b.store.containers.empty()) << seed;
    EXPECT_TRUE(b.controller->state().modules.empty()) << seed;
  }
}

TEST(NodeProperty, AFullDiskNeverLeavesHalfAState) {
  for (unsigned seed = 200; seed < 220; ++seed) {
    std::mt19937 random(seed);
    Bench b;
    prepare(b);
    for (int n = 0; n < 80; ++n) {
      b.store.full = random() % 4 == 0;
      random_event(b, random);
    }
    b.store.full = false;
    b.pass(seconds(1));
    b.start();
    b.pass(seconds(120));
    expect_converged(b, "seed " + std::to_string(seed));
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace netserv::node
