// Several workers: the flows of all queues come through the containers, each by the ring of its worker; what happens to a
// container or an interface happens to all of them, and is told once.
#include <chrono>
#include <set>

#include "live_plane.h"

namespace netserv::test {
namespace {

using ::testing::HasSubstr;

class LiveWorkers : public LivePlane {
 protected:
  static constexpr int kFlows = 32;
  LiveWorkers() : LivePlane(2) {}
  // Only a container that is killed or stopped is to stall.
  std::vector<std::string> limits() override { return {"--stall-ms", "2000", "--heartbeat-ms", "20000"}; }
  void SetUp() override {
    LivePlane::SetUp();
    int bytes = 8 << 20;  // a late burst of all that was sent
    ASSERT_EQ(::setsockopt(server.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes), 0);
    // xdp: a flow's queue follows from its ports and addresses; netfilter: from its addresses alone.
    router.add_client_addresses(kFlows);
    for (int i = 1; i <= kFlows; ++i)
      flows.push_back(router.client_udp("10.0.1." + std::to_string(100 + i), static_cast<std::uint16_t>(5000 + i)));
  }
  // The number of the ring by which each flow's packets came.
  std::vector<std::string> rings() {
    std::vector<std::string> out;
    for (const auto& flow : flows) send(flow, "ring?");
    for (const auto& flow : flows) {
      const std::string got = receive(flow);
      out.push_back(got.substr(0, 1));
      if (got != "nothing") continue;
      ADD_FAILURE() << "a packet did not come back by a module within a minute";
      break;
    }
    return out;
  }
  void expect_both_rings() {
    auto by = rings();
    EXPECT_EQ(std::set<std::string>(by.begin(), by.end()), (std::set<std::string>{"0", "1"}));
    EXPECT_EQ(rings(), by) << "a flow keeps to its worker";
  }
  // One packet of each flow; whether it came back from the module or by the module shows at either end.
  void pump() {
    for (const auto& flow : flows) send(flow, "ping"), ++sent;
    collect();
  }
  void collect() {
    for (const auto& flow : flows)
      while (receive(flow, MSG_DONTWAIT) != "nothing") ++answered;
    while (receive(server, MSG_DONTWAIT) != "nothing") ++passed;
  }
  // Hears what the forwarder has said by now, and asks it how often its workers gave the container up.
  std::uint64_t stalls() {
    tell(ipc::GetForwarderStats{});
    for (;;) {
      pollfd p{control.fd(), POLLIN, 0};
      sys::Datagram got;
      if (::poll(&p, 1, 60'000) != 1 || control.receive(got, ipc::kMaxControlBytes) != sys::Channel::Received::kMessage) break;
      auto message = ipc::decode<ipc::FromForwarder>(got.bytes);
      if (!message) break;
      if (auto* stats = std::get_if<ipc::ForwarderStats>(&*message)) return stats->containers.at(0).counters["stalls"];
      heard.push_back(*std::move(message));
    }
    ADD_FAILURE() << "the forwarder does not answer";
    return 0;
  }
  // How often it has said that without being asked, by now.
  template <class Message>
  std::ptrdiff_t told() {
    stalls();
    return std::ranges::count_if(heard, [](const auto& m) { return std::holds_alternative<Message>(m); });
  }
  void expect_all_accounted() {
    until([&] { return collect(), answered + passed == sent; });
    auto s = stats();
    EXPECT_EQ(came(s), static_cast<std::uint64_t>(sent));
    EXPECT_EQ(s["packets_in"], sum(s));
    EXPECT_EQ(s["xdp_frames_missing"] + s["xdp_bad_metadata"] + s["queue_verdict_errors"], 0u);
    EXPECT_EQ(s["queue_unseen"] + s["queue_dropped"], 0u);
  }

  std::vector<ipc::FromForwarder> heard;
  std::vector<sys::UniqueFd> flows;
  int sent = 0, answered = 0, passed = 0;
};

TEST_P(LiveWorkers, FlowsOfAllQueuesComeByTheRingsOfTheirWorkers) {
  EXPECT_THAT(detail, HasSubstr(plane() == "xdp" ? "worker 0: to_c/0 to_s/0; worker 1: to_c/1 to_s/1" : "8100-8101 (a worker each)"));
  start_container();
  ASSERT_EQ(set_filters({sip}), "");
  expect_both_rings();
  for (int round = 0; round < 50; ++round) {
    pump();
    until([&] { return collect(), answered + passed == sent; });
  }
  EXPECT_EQ(passed, 0);
  for (const auto& flow : flows) send(flow, "drop");
  for (const auto& flow : flows) send(flow, "change");
  for (int i = 0; i < kFlows; ++i) EXPECT_EQ(receive(server), "Change");
  auto s = stats();
  EXPECT_EQ(s["processed_dropped"], static_cast<std::uint64_t>(kFlows));
  EXPECT_EQ(s["processed_changed"], static_cast<std::uint64_t>(kFlows));
  EXPECT_EQ(s["packets_in"], sum(s));
  EXPECT_EQ(s["xdp_frames_missing"], 0u);

  ASSERT_EQ(set_filters({}), "");  // no worker sees any more packets
  for (const auto& flow : flows) send(flow, "drop");
  for (int i = 0; i < kFlows; ++i) EXPECT_EQ(receive(server), "drop");
  EXPECT_EQ(stats()["packets_in"], s["packets_in"]);
  EXPECT_EQ(end_orderly(), 0);
}

TEST_P(LiveWorkers, AContainerKilledUnderTrafficIsToldOnceAndEveryPacketAccounted) {
  start_container();
  ASSERT_EQ(set_filters({sip}), "");
  until([&] { return pump(), answered > 10 * kFlows; });
  end(container, SIGKILL);
  until([&] { return pump(), stalls() == 2; });  // each worker's
  int by = passed;
  until([&] { return pump(), passed > by + 10 * kFlows; });
  EXPECT_EQ(told<ipc::ContainerStalled>(), 1);
  start_container();
  int before = answered;
  until([&] { return pump(), answered > before + 10 * kFlows; });
  expect_all_accounted();
  EXPECT_EQ(end_orderly(), 0);
}

TEST_P(LiveWorkers, AStoppedContainerStallsAndResumesOnce) {
  start_container();
  ASSERT_EQ(set_filters({sip}), "");
  until([&] { return pump(), answered > 10 * kFlows; });
  stop(container);
  until([&] { return pump(), stalls() == 2; });
  int by = passed;
  until([&] { return pump(), passed > by + 10 * kFlows; });
  EXPECT_EQ(told<ipc::ContainerResumed>(), 0);
  ::kill(container, SIGCONT);
  int before = answered;
  until([&] { return pump(), told<ipc::ContainerResumed>() > 0; });
  until([&] { return pump(), answered > before + 10 * kFlows; });
  EXPECT_EQ(told<ipc::ContainerStalled>(), 1);
  EXPECT_EQ(told<ipc::ContainerResumed>(), 1);
  expect_all_accounted();
}

// One that writes nonsense into one of its rings is cut off there, and that is told once; new rings make it sound.
TEST_P(LiveWorkers, ACorruptedRingIsToldOnceAndANewContainerIsSound) {
  start_container();
  end(container, SIGKILL);
  ipc::ConfigureContainer config;
  config.container = ContainerId(1);
  config.authorised = {*Prefix::parse("10.0.2.0/24")};
  config.emit_packets_per_second = 100'000;
  tell(config);
  answer<ipc::ContainerRing>();
  ASSERT_EQ(datagram.fds.size(), 6u);
  std::vector<std::unique_ptr<ring::RingMapping>> hostile;
  for (std::size_t i = 0; i < 6; i += 3) {
    auto map = ring::RingMapping::map(datagram.fds[i].get(), ring::Guard::kNone);
    ASSERT_TRUE(map);
    hostile.push_back(*std::move(map));
  }
  ASSERT_EQ(set_filters({sip}), "");
  for (auto& ring : hostile) ring->header().complete_head.store(100'000);
  until([&] { return pump(), passed > 10 * kFlows; });
  EXPECT_EQ(told<ipc::RingCorrupted>(), 1);
  start_container();
  expect_both_rings();
}

// The publisher's rate, not the rate of each worker.
TEST_P(LiveWorkers, AllWorkersTogetherSendWhatThePublisherMay) {
  auto start = std::chrono::steady_clock::now();
  start_container(1);  // a second, and a burst of 32
  ASSERT_EQ(set_filters({sip}), "");
  for (int round = 0; round < 20; ++round) {
    pump();
    until([&] { return collect(), answered + passed == sent; });
  }
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start).count();
  EXPECT_GE(answered, 32);
  EXPECT_LE(answered, 32 + seconds + 1);
  tell(ipc::GetForwarderStats{});
  auto counters = answer<ipc::ForwarderStats>().containers.at(0).counters;
  EXPECT_EQ(counters["refused_rate"], static_cast<std::uint64_t>(sent - answered));
}

INSTANTIATE_TEST_SUITE_P(Planes, LiveWorkers, ::testing::Values("netfilter", "xdp"), plane_name);

class XdpWorkers : public LiveWorkers {
 protected:
  std::string plane() override { return "xdp"; }
  std::vector<std::string> limits() override { return LivePlane::limits(); }  // no container stalls here
  // Until all packets of a round came through the modules, and left by the server's interface.
  void until_all_come_changed() {
    int round = 0;  // stragglers of earlier ones do not count
    until([&] {
      std::string number = std::to_string(++round);
      for (const auto& flow : flows) send(flow, "change " + number);
      ::usleep(10'000);
      int changed = 0;
      for (std::string got; (got = receive(server, MSG_DONTWAIT)) != "nothing";) changed += got == "Change " + number;
      return changed == kFlows;
    });
  }
};

TEST_F(XdpWorkers, InterfacesMadeAgainAreTakenUpByAllWorkers) {
  start_container();
  ASSERT_EQ(set_filters({sip}), "");
  expect_both_rings();
  router.remake_link("s", 2);
  server.reset();
  server = router.server_udp(AF_INET, 5060);
  // The sockets are opened anew, once or twice, and meanwhile the kernel forwards: until all packets of a round came
  // through the module again, by both rings, and left by the new interface.
  until([&] {
    for (const auto& flow : flows) send(flow, "ring?");
    ::usleep(10'000);
    std::set<std::string> by;
    int came = 0;
    for (const auto& flow : flows)
      for (std::string got; (got = receive(flow, MSG_DONTWAIT)) != "nothing"; ++came) by.insert(got);
    return came == kFlows && by == std::set<std::string>{"0ing?", "1ing?"};
  });
  until_all_come_changed();
  until([&] { return stats()["in_flight"] == 0; });
  EXPECT_EQ(stats()["xdp_frames_missing"], 0u);
  EXPECT_EQ(end_orderly(), 0);
}

// Then one worker has no socket there: what it forwards that way goes by the kernel, and what comes in is the other's.
TEST_F(XdpWorkers, AnInterfaceThatLosesAQueueAndGetsItBack) {
  start_container();
  ASSERT_EQ(set_filters({sip}), "");
  expect_both_rings();
  for (int queues : {1, 2}) {
    const std::string to_s = queues == 1 ? "1 queue; worker 0: to_c/0 to_s/0; worker 1: to_c/1" :
                                           "2 queues; worker 0: to_c/0 to_s/0; worker 1: to_c/1 to_s/1";
    SCOPED_TRACE(to_s);
    router.remake_link("s", queues);
    server.reset();
    server = router.server_udp(AF_INET, 5060);
    until([&] { return said_of_itself() == "to_c native copy, 2 queues; to_s native copy, " + to_s; });
    // Neighbours may have to be found again.
    until_all_come_changed();
    expect_both_rings();
    auto before = stats();
    for (const auto& flow : flows) send(flow, "change");
    for (int i = 0; i < kFlows; ++i) EXPECT_EQ(receive(server), "Change");
    auto after = stats();
    EXPECT_EQ(after["processed_changed"] - before["processed_changed"], static_cast<std::uint64_t>(kFlows));
    const auto by_kernel = after["xdp_to_kernel"] - before["xdp_to_kernel"];
    if (queues == 1) {
      EXPECT_TRUE(by_kernel > 0 && by_kernel < kFlows) << by_kernel << ": one worker's";
    } else {
      EXPECT_EQ(by_kernel, 0u);
    }
    EXPECT_EQ(after["xdp_frames_missing"] + after["xdp_to_kernel_failed"] + after["xdp_bad_metadata"], 0u);
  }
  EXPECT_EQ(end_orderly(), 0);
}

// A queue that a socket of ours sits on is not taken away under it, and the attempt disturbs nobody.
TEST_F(XdpWorkers, AQueueInUseIsNotTakenAway) {
  start_container();
  ASSERT_EQ(set_filters({sip}), "");
  expect_both_rings();
  EXPECT_FALSE(router.use_queues("s", 1));
  const std::string before = said_of_itself();
  for (int round = 0; round < 20; ++round) {
    pump();
    until([&] { return collect(), answered + passed == sent; });
  }
  EXPECT_EQ(said_of_itself(), before);
  EXPECT_EQ(passed, 0);
  EXPECT_EQ(end_orderly(), 0);
}

TEST_F(XdpWorkers, MoreWorkersThanQueuesAreRefused) {
  EXPECT_EQ(end_orderly(), 0);
  forwarder = router.start({kForwarder, "--run-dir", router.folder(), "--plane", "xdp", "--interface", "to_c",
                            "--interface", "to_s", "--workers", "3"});
  EXPECT_EQ(exit_status(), 1);
}

}  // namespace
}  // namespace netserv::test
