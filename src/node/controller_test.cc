// One behaviour of semantics.md a test.
#include "node/controller.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "node/fake/bench_test.h"

namespace netserv::node {
namespace {

using fake::Bench;
using fake::kAlice;
using fake::kBob;
using std::chrono::seconds;

using ControllerTest = fake::BenchTest;

TEST_F(ControllerTest, InstallsAStageAtATimeAndPlacesFiltersLast) {
  RequestId r = b.setup("Mon_1.0");
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kInstalling);
  EXPECT_EQ(b.code(r), 101) << "not cached: answered at once";
  EXPECT_TRUE(b.world.containers.empty()) << "nothing is touched before the object is there";
  b.settle();
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kActive);
  EXPECT_EQ(b.filters(), 1u);
  EXPECT_EQ(b.loaded(), 1u);
}

TEST_F(ControllerTest, ACachedModuleIsAnsweredActive) {
  b.setup("Mon_1.0");
  b.settle();
  b.remove("Mon_1.0");
  b.settle();
  RequestId r = b.setup("Mon_1.0");
  EXPECT_EQ(b.code(r), 0);
  b.settle();
  EXPECT_EQ(b.code(r), 201);
}

TEST_F(ControllerTest, AnAnswerThatTakesLongerThanASecondIsInstalling) {
  b.setup("Mon_1.0");
  b.settle();
  b.remove("Mon_1.0");
  b.settle();
  b.pass(seconds(70));
  RequestId r = b.setup("Mon_1.0");
  b.world.inbox.clear();  // the container does not come
  b.world.now.monotonic += seconds(1);
  b.controller->handle(Tick{});
  EXPECT_EQ(b.code(r), 101);
}

TEST_F(ControllerTest, RemoveTakesAwayFiltersThenTheModuleAndAnswersWhenItIsGone) {
  b.setup("Mon_1.0");
  b.settle();
  RequestId r = b.remove("Mon_1.0");
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kStopping);
  EXPECT_EQ(b.code(r), 0);
  EXPECT_EQ(b.loaded(), 1u);
  EXPECT_EQ(b.filters(), 0u);
  b.settle();
  EXPECT_EQ(b.code(r), 202);
  EXPECT_EQ(b.loaded(), 0u);
  EXPECT_TRUE(b.store.modules.empty());
}

TEST_F(ControllerTest, RemoveOfAnAbsentModuleIsSuccess) { EXPECT_EQ(b.code(b.remove("Mon_1.0")), 202); }

TEST_F(ControllerTest, RemoveWithoutAVersionTakesAllOfThem) {
  b.setup("Mon_1.0");
  b.setup("Other_1.0");
  b.settle();
  b.setup("Mon_2.0");  // still INSTALLING: the old one serves
  RequestId r = b.remove("Mon");
  b.settle();
  EXPECT_EQ(b.code(r), 202);
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kUninstalled);
  EXPECT_EQ(b.state("Mon_2.0"), ModuleState::kUninstalled);
  EXPECT_EQ(b.state("Other_1.0"), ModuleState::kActive);
}

TEST_F(ControllerTest, RemoveTouchesOnlyTheSignersOwn) {
  b.setup("Mon_1.0", Bench::spec(), kAlice);
  b.setup("Mon_1.0", Bench::spec(), kBob);
  b.settle();
  b.remove("Mon_1.0", kBob);
  b.settle();
  EXPECT_EQ(b.state("Mon_1.0", kAlice), ModuleState::kActive);
  EXPECT_EQ(b.state("Mon_1.0", kBob), ModuleState::kUninstalled);
}

TEST_F(ControllerTest, TtlRunsFromAcceptanceAndOnAcrossARestart) {
  b.setup("Mon_1.0");
  b.settle();
  b.pass(seconds(200));
  b.start();
  b.pass(seconds(99));
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kActive);
  b.pass(seconds(2));
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kUninstalled);
  EXPECT_EQ(b.filters(), 0u);
}

TEST_F(ControllerTest, ExpiryCancelsAnInstallation) {
  b.setup("Mon_1.0");
  b.world.inbox.clear();  // the fetch never ends
  b.pass(seconds(301));
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kUninstalled);
  bool cancelled = false;
  for (const Action& a : b.world.performed) cancelled |= std::holds_alternative<CancelWork>(a);
  EXPECT_TRUE(cancelled);
}

TEST_F(ControllerTest, ARefreshPutsTheTtlBackAndReplacesFilters) {
  b.setup("Mon_1.0");
  b.pass(seconds(200));
  RequestId r = b.setup("Mon_1.0", Bench::spec(5061));
  EXPECT_EQ(b.code(r), 203);
  b.pass(seconds(200));
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kActive);
  ASSERT_EQ(b.filters(), 1u);
  EXPECT_EQ(b.world.forwarder.begin()->second.filters[0].filter.destination_port, 5061);
}

TEST_F(ControllerTest, ARefreshWhoseFiltersAreRefusedKeepsTheOldOnes) {
  b.setup("Mon_1.0");
  b.settle();
  b.world.forwarder_refuses = true;
  b.setup("Mon_1.0", Bench::spec(5061));
  b.settle();
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kActive);
  EXPECT_EQ(b.store.modules.begin()->second.spec.filters[0].destination_port, 5060);
}

TEST_F(ControllerTest, AnotherDigestIsRefused) {
  b.setup("Mon_1.0");
  b.settle();
  ModuleSpec other = Bench::spec();
  other.digest = "d2";
  EXPECT_EQ(b.code(b.setup("Mon_1.0", other)), 517);
}

std::vector<std::string> released(const fake::World& world) {
  std::vector<std::string> out;
  for (const Action& a : world.performed)
    if (auto* r = std::get_if<ReleaseObject>(&a)) out.push_back(r->publisher.value() + " " + r->object);
  return out;
}

TEST_F(ControllerTest, AnObjectThatNoModuleTookIsReleased) {
  auto with = [&](const std::string& id, const std::string& object) {
    node::Setup s = b.make_setup(id);
    s.cached = Artifact{};
    s.cached->object = object;
    return s;
  };
  node::Setup first = with("Mon_1.0", "one.so");
  b.controller->handle(first);
  b.settle();
  EXPECT_TRUE(released(b.world).empty());
  first.request = RequestId(1000);  // a replay
  b.controller->handle(first);
  EXPECT_TRUE(released(b.world).empty()) << "in use";
  node::Setup conflict = with("Mon_1.0", "two.so");
  conflict.spec.digest = "d2";
  b.controller->handle(conflict);
  EXPECT_EQ(b.code(conflict.request), 517);
  EXPECT_EQ(released(b.world), std::vector<std::string>{"alice two.so"});

  b.world.performed.clear();
  b.world.bad_objects = {"bad.so"};
  b.controller->handle(with("Bad_1.0", "bad.so"));
  b.settle();
  ASSERT_EQ(b.state("Bad_1.0"), ModuleState::kFailed);
  node::Setup better = with("Bad_1.0", "good.so");
  better.spec.digest = "d2";
  b.controller->handle(better);
  b.settle();
  EXPECT_EQ(b.state("Bad_1.0"), ModuleState::kActive);
  EXPECT_EQ(released(b.world), std::vector<std::string>{"alice bad.so"});
}

TEST_F(ControllerTest, TwoIdenticalSetupsJoinADifferentOneIsBusy) {
  b.setup("Mon_1.0");
  RequestId same = b.setup("Mon_1.0");
  RequestId different = b.setup("Mon_1.0", Bench::spec(5061));
  EXPECT_EQ(b.code(different), 400);
  b.settle();
  EXPECT_EQ(b.code(same), 201);
  int fetches = 0;
  for (const Action& a : b.world.performed) fetches += std::holds_alternative<Fetch>(a);
  EXPECT_EQ(fetches, 1);
}

TEST_F(ControllerTest, ANewVersionReplacesTheOldOneOnlyOnceItIsActive) {
  b.setup("Mon_1.0");
  b.settle();
  b.setup("Mon_2.0");
  while (b.state("Mon_2.0") != ModuleState::kActive) {
    EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kActive);
    EXPECT_EQ(b.filters(), 1u) << "packets visit one version";
    ASSERT_TRUE(b.deliver());
  }
  b.settle();
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kUninstalled);
  EXPECT_EQ(b.loaded(), 1u);
}

TEST_F(ControllerTest, ANewVersionThatDoesNotStartLeavesTheOldOne) {
  b.setup("Mon_1.0");
  b.settle();
  b.world.bad_objects = {"Mon_2.0.so"};
  b.setup("Mon_2.0");
  b.settle();
  EXPECT_EQ(b.state("Mon_2.0"), ModuleState::kFailed);
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kActive);
  EXPECT_EQ(b.filters(), 1u);
}

TEST_F(ControllerTest, AFailedFetchSaysWhyAndASetupTriesAgain) {
  b.world.bad_urls = {"http://publisher/module.wasm"};
  b.setup("Mon_1.0");
  b.settle();
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kFailed);
  EXPECT_EQ(b.controller->state().modules.begin()->second.record.failure->code, 403);
  EXPECT_TRUE(b.world.containers.empty());
  b.world.bad_urls.clear();
  b.setup("Mon_1.0");
  b.settle();
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kActive);
}

TEST_F(ControllerTest, DrainAndDisableOutlastARestart) {
  b.setup("Mon_1.0");
  b.settle();
  b.controller->handle(Drain{RequestId(900), true});
  b.controller->handle(Enable{RequestId(901), kAlice, false});
  b.settle();
  EXPECT_EQ(b.code(RequestId(900)), 200);
  EXPECT_EQ(b.filters(), 0u);
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kResolved);
  EXPECT_TRUE(b.world.containers.empty());
  EXPECT_EQ(b.code(b.setup("Mon_1.0")), 501);
  EXPECT_EQ(b.code(b.setup("X_1", Bench::spec(), kBob)), 401);
  b.world.draining = false;
  b.start();
  b.settle();
  EXPECT_TRUE(b.world.draining);
  EXPECT_EQ(b.loaded(), 0u);
  b.controller->handle(Enable{RequestId(902), kAlice, true});
  b.settle();
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kActive);
}

TEST_F(ControllerTest, AFullDiskRefusesASetupAndLeavesNothing) {
  b.store.full = true;
  RequestId r = b.setup("Mon_1.0");
  EXPECT_EQ(b.code(r), 402);
  b.settle();
  EXPECT_TRUE(b.controller->state().modules.empty());
  EXPECT_TRUE(b.world.containers.empty());
}

TEST_F(ControllerTest, AFullDiskDoesNotHoldUpExpiryNorSpin) {
  b.setup("Mon_1.0");
  b.settle();
  b.store.full = true;
  b.pass(seconds(301));
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kUninstalled);
  EXPECT_EQ(b.filters(), 0u);
  EXPECT_GT(b.controller->until_next_tick(), Duration::zero());
  b.store.full = false;
  b.start();
  b.settle();
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kUninstalled) << "what the disk still has has expired too";
}

TEST_F(ControllerTest, ProgressIsTold) {
  b.setup("Mon_1.0");
  b.settle();
  std::vector<Happened::What> steps;
  for (const Happened& h : b.world.happenings)
    if (h.what == Happened::What::kFetching || h.what == Happened::What::kCompiling) steps.push_back(h.what);
  EXPECT_EQ(steps, (std::vector{Happened::What::kFetching, Happened::What::kCompiling}));
}

TEST_F(ControllerTest, AManifestThatAsksForTooMuchFails) {
  node::Setup s = b.make_setup("Mon_1.0");
  s.cached = Artifact{};
  s.cached->blocks = {"log/1"};  // the node has it, alice may not use it
  b.controller->handle(s);
  EXPECT_EQ(b.code(s.request), 513);
  EXPECT_TRUE(b.world.containers.empty());
}

TEST_F(ControllerTest, AModuleThatSaysItIsAnotherFails) {
  auto with = [&](const std::string& id, const std::string& name, const std::string& version) {
    node::Setup s = b.make_setup(id);
    s.cached = Artifact{};
    s.cached->name = name;
    s.cached->version = version;
    b.controller->handle(s);
    return b.code(s.request);
  };
  EXPECT_EQ(with("Mon_1.0", "Monitor", "1.0"), 527);
  EXPECT_EQ(with("Mon_1.1", "Mon", "1.0"), 527);
  EXPECT_EQ(b.controller->state().modules.begin()->second.record.failure->text,
            "the id is Mon_1.0, but the module says that it is Monitor_1.0");
  EXPECT_TRUE(b.world.containers.empty());
  EXPECT_EQ(with("Mon_2.0", "apps.Mon", "2.0"), 0);
  b.settle();
  EXPECT_EQ(b.state("Mon_2.0"), ModuleState::kActive);
}

TEST_F(ControllerTest, AModuleThatItsContainerGivesUpFailsAndLosesItsFilters) {
  b.setup("Mon_1.0");
  b.settle();
  b.controller->handle(ContainerSaid{ContainerId(1), b.life(), ipc::ModuleTrapped{ModuleId("Mon_1.0"), "unreachable", 100}});
  b.controller->handle(ContainerSaid{ContainerId(1), b.life(), ipc::ModuleFailed{ModuleId("Mon_1.0"), "trapped 5 times"}});
  b.settle();
  EXPECT_EQ(b.state("Mon_1.0"), ModuleState::kFailed);
  EXPECT_EQ(b.filters(), 0u);
  EXPECT_EQ(b.loaded(), 0u);
}

TEST_F(ControllerTest, TrapsThatNoContainerCanHaveAreCountedAndNotTold) {
  b.setup("Mon_1.0");
  b.settle();
  const ModuleId id("Mon_1.0");
  auto told = [&] {
    return std::count_if(b.world.happenings.begin(), b.world.happenings.end(), [](const Happened& h) {
      return h.what == Happened::What::kTrapped || h.what == Happened::What::kRestarted || h.what == Happened::What::kFiltersRefused;
    });
  };
  for (int n = 0; n < 1000; ++n) {
    b.controller->handle(ContainerSaid{ContainerId(1), b.life(), ipc::ModuleTrapped{id, "unreachable", 100}});
    b.controller->handle(ContainerSaid{ContainerId(1), b.life(), ipc::ModuleRestarted{id}});
    b.controller->handle(ContainerSaid{ContainerId(1), b.life(), ipc::ModuleUpdated{id, "unasked"}});
  }
  EXPECT_EQ(told(), 2) << "the first trap and its restart";
  EXPECT_EQ(b.controller->state().modules.begin()->second.traps, 1000u);
  for (int n = 0; n < 3; ++n) {
    b.pass(std::chrono::milliseconds(100));
    b.controller->handle(ContainerSaid{ContainerId(1), b.life(), ipc::ModuleTrapped{id, "unreachable", 100}});
    b.controller->handle(ContainerSaid{ContainerId(1), b.life(), ipc::ModuleRestarted{id}});
  }
  EXPECT_EQ(told(), 8);
}

TEST_F(ControllerTest, OnePublishersInstallationsLeaveAPlaceForAnothers) {
  b.settle();  // the forwarder is there
  b.setup("A_1");
  b.setup("B_1");
  b.world.inbox.clear();  // alice's compilations take for ever
  b.setup("Mon_1.0", Bench::spec(), kBob);
  b.settle();
  EXPECT_EQ(b.state("Mon_1.0", kBob), ModuleState::kActive);
  EXPECT_EQ(b.state("B_1"), ModuleState::kInstalling);
}

}  // namespace
}  // namespace netserv::node
