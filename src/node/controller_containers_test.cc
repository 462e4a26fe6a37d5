// Containers, their rings and the forwarder as the controller sees them come and go. One behaviour of semantics.md a test.
#include <gtest/gtest.h>

#include <algorithm>

#include "node/controller.h"
#include "node/fake/bench_test.h"

namespace netserv::node {
namespace {

using fake::Bench;
using fake::kBob;
using std::chrono::seconds;

bool is_load(const Action& action) {
  auto* send = std::get_if<SendContainer>(&action);
  return send && std::holds_alternative<ipc::LoadModule>(send->message);
}

using ControllerTest = fake::BenchTest;

TEST_F(ControllerTest, TheContainerStopsAMinuteAfterItsLastModule) {
  b.setup("Mon_1.0");
  b.settle();
  b.remove("Mon_1.0");
  b.settle();
  b.pass(seconds(59));
  EXPECT_EQ(b.world.containers.size(), 1u);
  b.pass(seconds(2));
  EXPECT_TRUE(b.world.containers.empty());
  EXPECT_TRUE(b.world.forwarder.empty());
  EXPECT_TRUE(b.store.containers.empty());
  b.setup("Mon_1.0");
  b.settle();
  EXPECT_EQ(b.world.containers.begin()->first, ContainerId(2)) << "numbers are never used again";
}

TEST_F(ControllerTest, ADeadContainerIsStartedAgainWithBackOff) {
  b.setup("Mon_1.0");
  b.settle();
  b.world.kill_container(ContainerId(1));
  b.settle();
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kResolved);
  EXPECT_EQ(b.filters(), 0u) << "packets pass by meanwhile";
  b.pass(seconds(1));
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kActive);
  EXPECT_EQ(b.filters(), 1u);
}

TEST_F(ControllerTest, WhatIsSaidLateOfADeadContainerDoesNotHurtItsSuccessor) {
  b.setup("Mon_1.0");
  b.settle();
  const std::uint64_t first = b.life();
  b.world.kill_container(ContainerId(1));
  b.pass(seconds(1));
  ASSERT_EQ(b.state("Mon_1.0"), ModuleState::kActive);
  ASSERT_NE(b.life(), first);
  const State before = b.controller->state();
  b.world.performed.clear();
  for (Event late : {Event(ContainerGone{ContainerId(1), first, "stopped"}), Event(ContainerUp{ContainerId(1), first, {}}),
                     Event(ContainerSaid{ContainerId(1), first, ipc::ModuleFailed{ModuleId("Mon_1.0"), "trapped 5 times"}}),
                     Event(ContainerSaid{ContainerId(1), first, ipc::RingAttached{2, "no room"}})})
    b.controller->handle(std::move(late));
  EXPECT_TRUE(b.controller->state() == before);
  EXPECT_TRUE(b.world.performed.empty());
}

TEST_F(ControllerTest, FailClosedFiltersStayWhileTheContainerIsAway) {
  ModuleSpec closed = Bench::spec();
  closed.options.fail_closed = true;
  b.setup("Mon_1.0", closed);
  b.settle();
  b.world.kill_container(ContainerId(1));
  b.settle();
  EXPECT_EQ(b.filters(), 1u);
  b.pass(seconds(1));
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kActive);
}

TEST_F(ControllerTest, AContainerThatNeverStartsFailsItsModule) {
  b.world.containers_start = false;
  b.setup("Mon_1.0");
  b.pass(seconds(30));
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kFailed);
  EXPECT_EQ(b.controller->state().modules.begin()->second.record.failure->code, 405);
}

TEST_F(ControllerTest, ANewForwarderGetsEverythingAgainAndNoModuleIsRestarted) {
  b.setup("Mon_1.0");
  b.settle();
  b.world.performed.clear();
  b.world.restart_forwarder();
  b.settle();
  EXPECT_EQ(b.filters(), 1u);
  EXPECT_NE(b.world.forwarder.begin()->second.attached, 0u);
  for (const Action& a : b.world.performed)
    EXPECT_FALSE(is_load(a));
}

TEST_F(ControllerTest, WhatThePlaneSaysOfItsInterfacesIsWhatItSaidLast) {
  ipc::ForwarderWelcome welcome;
  welcome.plane_detail = "eth0 1 queue";
  b.controller->handle(ForwarderUp{welcome});
  EXPECT_EQ(b.controller->state().plane_detail, "eth0 1 queue");
  ipc::ForwarderStats stats;
  stats.plane_detail = "eth0 2 queues";
  b.controller->handle(ForwarderSaid{stats});
  EXPECT_EQ(b.controller->state().plane_detail, "eth0 2 queues");
}

TEST_F(ControllerTest, ARestartedControllerAdoptsWhatRuns) {
  b.setup("Mon_1.0");
  b.settle();
  b.world.performed.clear();
  b.world.cache.clear();  // not even the cache is needed
  b.start();
  b.settle();
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kActive);
  for (const Action& a : b.world.performed) {
    EXPECT_FALSE(is_load(a));
    auto* s = std::get_if<SendForwarder>(&a);
    auto* f = s ? std::get_if<ipc::SetFilters>(&s->message) : nullptr;
    EXPECT_TRUE(!f || f->filters.size() == 1) << "no gap";
  }
}

TEST_F(ControllerTest, AContainerWhoseRingTheForwarderDoesNotMakeIsReplaced) {
  b.setup("Mon_1.0");
  b.settle();
  const std::uint64_t first = b.life();
  b.world.ring_version = 4;
  b.world.restart_forwarder();
  b.pass(seconds(1));
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kActive) << "in one that can map it";
  EXPECT_EQ(b.filters(), 1u);
  EXPECT_NE(b.life(), first);
  auto lost = std::find_if(b.world.happenings.begin(), b.world.happenings.end(),
                           [](const Happened& h) { return h.what == Happened::What::kContainerLost; });
  ASSERT_NE(lost, b.world.happenings.end());
  EXPECT_EQ(lost->text, "it maps packet rings of version 3 to 3, and the forwarder makes version 4");
}

TEST_F(ControllerTest, AContainerThatMapsTheForwardersOlderRingsIsKept) {
  b.setup("Mon_1.0");
  b.settle();
  b.world.containers.at(ContainerId(1)).rings = {2, 4};
  for (std::uint32_t made : {4, 2}) {
    b.world.ring_version = made;
    b.start();
    b.settle();
    EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kActive);
    EXPECT_EQ(b.controller->state().containers.at(ContainerId(1)).failures, 0u);
  }
}

TEST_F(ControllerTest, WithoutAForwarderNoContainerIsJudgedByItsRings) {
  b.setup("Mon_1.0");
  b.settle();
  b.world.containers.at(ContainerId(1)).rings = {1, 1};
  b.world.forwarder_runs = false;
  b.world.performed.clear();
  b.start();
  b.pass(seconds(1));
  EXPECT_FALSE(std::any_of(b.world.performed.begin(), b.world.performed.end(),
                           [](const Action& a) { return std::holds_alternative<StopContainer>(a); }));
}

TEST_F(ControllerTest, AContainerThatNobodyWantsAnyMoreKeepsNoTimer) {
  b.world.containers_start = false;
  b.setup("Mon_1.0");
  b.pass(seconds(60));
  ASSERT_EQ(b.state("Mon_1.0"), ModuleState::kFailed);
  EXPECT_GT(b.controller->until_next_tick(), std::chrono::milliseconds(500));
}

TEST_F(ControllerTest, ContainersThatWouldShareAnAddressAreNeverThereTogether) {
  Settings few = Bench::settings();
  few.container_addresses = 2;
  b.controller->handle(Reloaded{few});
  b.setup("Mon_1.0");
  b.settle();
  for (int n = 0; n < 3; ++n) {
    b.setup("Mon_1.0", Bench::spec(), kBob);
    b.settle();
    ASSERT_EQ(b.controller->state().containers.size(), 2u);
    EXPECT_NE(b.controller->state().containers.begin()->first.value() % 2, b.controller->state().containers.rbegin()->first.value() % 2);
    b.remove("Mon_1.0", kBob);
    b.pass(seconds(70));
    b.controller->handle(Tick{});
  }
}

TEST_F(ControllerTest, AStalledContainerIsRestarted) {
  b.setup("Mon_1.0");
  b.settle();
  b.controller->handle(ForwarderSaid{ipc::ContainerStalled{ContainerId(1), 5}});
  b.pass(seconds(7));
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kActive);
  int starts = 0;
  for (const Action& a : b.world.performed) starts += std::holds_alternative<StartContainer>(a);
  EXPECT_EQ(starts, 2);
}

}  // namespace
}  // namespace netserv::node
