// netserv-forwarder on a router in a namespace, with the netfilter plane (real NFQUEUE, real rules) and with the xdp
// plane (a real XDP program on both interfaces): the same packets, a container process at the far end of the ring.
#include "live_plane.h"
#include "wire/ipc/stats_pages.h"

namespace netserv::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// With one worker, and with two that have a receive queue of each interface (or an NFQUEUE) each.
class LiveTraffic : public LivePlane {
 protected:
  LiveTraffic() : LivePlane(workers_of(GetParam())) {}
  std::string plane() override { return std::string(GetParam()).substr(0, std::string_view(GetParam()).find('_')); }
};

TEST_P(LiveTraffic, VerdictsTakeEffectInBothIpVersions) {
  start_container();
  ASSERT_EQ(set_filters({sip, sip6}), "");
  for (auto [from, at] : {std::pair(&client, &server), std::pair(&client6, &server6)}) {
    send(*from, "drop this");
    send(*from, "ping 1");
    EXPECT_EQ(receive(*from), "pong 1");
    send(*from, "change me");
    EXPECT_EQ(receive(*at), "Change me");  // neither the dropped one nor the ping came before it
    send(*from, "plain");
    EXPECT_EQ(receive(*at), "plain");
  }
  auto s = stats();
  EXPECT_EQ(s["packets_in"], 8u);
  EXPECT_EQ(s["processed_dropped"], 2u);
  EXPECT_EQ(s["processed_replied"], 2u);
  EXPECT_EQ(s["processed_changed"], 2u);
  EXPECT_EQ(s["processed_passed"], 2u);
  if (plane() == "netfilter") {
    EXPECT_EQ(s["raw_sent"], 2u);
    EXPECT_EQ(s["raw_send_failed"] + s["queue_verdict_errors"] + s["queue_malformed"], 0u);
  } else {
    EXPECT_EQ(s["xdp_redirected"], 8u);
    EXPECT_EQ(s["xdp_frames_missing"] + s["xdp_bad_metadata"] + s["xdp_to_kernel_failed"], 0u);
  }

  ASSERT_EQ(set_filters({}), "");
  send(client, "drop this");
  EXPECT_EQ(receive(server), "drop this");
  EXPECT_EQ(stats()["packets_in"], 8u);
}

TEST_P(LiveTraffic, FiltersStayWhenNetservdIsGone) {
  start_container();
  ASSERT_EQ(set_filters({sip}), "");
  control.close();
  send(client, "ping 1");
  EXPECT_EQ(receive(client), "pong 1");
  connect();
  EXPECT_EQ(stats()["processed_replied"], 1u);
}

TEST_P(LiveTraffic, TheCountersOfManyContainersAreToldAPageAtATime) {
  constexpr std::uint32_t kContainers = 2 * ipc::kStatsContainers + 1;
  for (std::uint32_t i = 1; i <= kContainers; ++i) {
    ipc::ConfigureContainer config;
    config.container = ContainerId(i);
    config.publisher = "alice";
    tell(config);
    answer<ipc::ContainerRing>();
  }
  ipc::StatsPages pages;
  std::optional<ipc::ForwarderStats> all;
  for (std::uint32_t from = 0; !all;) {
    tell(ipc::GetForwarderStats{from});
    auto progress = pages.add(answer<ipc::ForwarderStats>());
    ASSERT_TRUE(progress.all || progress.next > from);
    from = progress.next;
    all = std::move(progress.all);
  }
  ASSERT_EQ(all->containers.size(), kContainers);
  EXPECT_EQ(all->containers.back().container, ContainerId(kContainers));
  EXPECT_TRUE(all->node.contains("packets_in"));
}

TEST_P(LiveTraffic, DrainLetsEverythingPass) {
  start_container();
  ASSERT_EQ(set_filters({sip}), "");
  tell(ipc::SetDrain{true});
  stats();
  send(client, "ping 1");
  EXPECT_EQ(receive(server), "ping 1");
  tell(ipc::SetDrain{false});
  stats();
  send(client, "ping 2");
  EXPECT_EQ(receive(client), "pong 2");
}

// Where the limits are the subject, they are the product's own: a packet may pass by at any time, and be counted.
class LiveFaults : public LiveTraffic {
 protected:
  std::vector<std::string> limits() override { return {}; }
  void until_answered(const std::string& number) {
    until([&] {
      send(client, "ping " + number);
      ::usleep(1000);
      return receive(client, MSG_DONTWAIT) == "pong " + number;
    });
  }
};

TEST_P(LiveFaults, AContainerKilledUnderTrafficIsPassedByAndEveryPacketAccounted) {
  start_container();
  ASSERT_EQ(set_filters({sip}), "");
  int answered = 0, passed = 0, sent = 0;
  auto pump = [&](int n) {
    for (int i = 0; i < n; ++i, ++sent) send(client, "ping " + std::to_string(sent));
    auto count = [](const sys::UniqueFd& at, int& counter) {
      while (receive(at, MSG_DONTWAIT) != "nothing") ++counter;
    };
    count(client, answered);
    count(server, passed);
  };
  until([&] { return pump(20), answered > 100; });
  end(container, SIGKILL);
  until([&] { return pump(20), passed > 100; });  // forwarding has resumed, with no container there
  answer<ipc::ContainerStalled>();
  start_container();
  int before = answered;
  until([&] { return pump(20), answered > before + 100; });
  until([&] { return pump(0), answered + passed == sent; });  // none was lost on the way
  auto s = stats();
  EXPECT_EQ(came(s), static_cast<std::uint64_t>(sent));
  EXPECT_EQ(s["packets_in"], sum(s));
  EXPECT_GT(s["passed_by_stalled"] + s["lost_in_container"], 0u);
  EXPECT_EQ(s["queue_unseen"] + s["queue_dropped"], 0u);
}

// The kernel's own view of the path: the same packets with no forwarder at all.
TEST_P(LiveFaults, WhateverHappensToTheForwarderTrafficGoesOn) {
  start_container();
  ASSERT_EQ(set_filters({sip}), "");
  until_answered("1");
  stop(forwarder);
  until([&] {  // xdp: when the heartbeat is too old; netfilter: when the queue is full
    for (int i = 0; i < 500; ++i) send(client, "plain");
    return receive(server, MSG_DONTWAIT) == "plain";
  });
  ::kill(forwarder, SIGCONT);
  until_answered("2");
  end(forwarder, SIGKILL);
  until([&] {
    send(client, "after the kill");
    ::usleep(1000);
    return receive(server, MSG_DONTWAIT) == "after the kill";
  });
  start_forwarder();  // over what the killed one left
  end(container, SIGKILL);
  start_container();
  ASSERT_EQ(set_filters({sip}), "");
  until_answered("again");
}

TEST_P(LiveFaults, AStoppedForwarderHoldsPacketsForAMomentOnly) {
  start_container();
  ASSERT_EQ(set_filters({sip}), "");
  until_answered("1");
  stop(forwarder);
  until([&] {  // one at a time: no queue fills up
    send(client, "plain");
    return receive(server, MSG_DONTWAIT) == "plain";
  });
  ::kill(forwarder, SIGCONT);
  until_answered("2");
  until([&] { return stats()["in_flight"] == 0; });
  auto s = stats();
  EXPECT_EQ(s["packets_in"], sum(s));
  if (plane() == "netfilter") {
    EXPECT_GE(s["queue_freed"], 1u);
  }
}

TEST_P(LiveTraffic, AThousandFiltersOfOneShapeAreTaken) {
  start_container();
  std::vector<Filter> filters{sip};
  for (std::uint16_t port = 10'000; port < 10'999; ++port)
    filters.push_back({kProtocolUdp, port, {}, *Prefix::parse("10.0.2.0/24")});
  ASSERT_EQ(set_filters(filters), "");
  send(client, "ping 1");
  EXPECT_EQ(receive(client), "pong 1");
  ASSERT_EQ(set_filters({sip}), "");
  send(client, "ping 2");
  EXPECT_EQ(receive(client), "pong 2");
}

TEST_P(LiveTraffic, ASecondForwarderTouchesNothing) {
  start_container();
  ASSERT_EQ(set_filters({sip}), "");
  for (const char* what : {"--busy-poll", "--clean"}) {  // starts, and cleans
    pid_t second = router.start({kForwarder, "--run-dir", router.folder(), "--bpf-dir", router.bpf_folder(), "--plane", "netfilter", what});
    int status = 0;
    ::waitpid(second, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << what;
    send(client, "ping");
    EXPECT_EQ(receive(client), "pong");
  }
}

INSTANTIATE_TEST_SUITE_P(Planes, LiveTraffic, ::testing::Values("netfilter", "xdp", "netfilter_2", "xdp_2"), plane_name);
INSTANTIATE_TEST_SUITE_P(Planes, LiveFaults, ::testing::Values("netfilter", "xdp", "netfilter_2", "xdp_2"), plane_name);

class NetfilterRules : public LivePlane {
 protected:
  std::string plane() override { return "netfilter"; }
};

TEST_F(NetfilterRules, AKilledForwarderStopsNoTrafficAndTheNextOneCleansUp) {
  end(forwarder, SIGTERM);  // without a forwarder: what the operator has
  router.run("iptables-restore", {"--noflush"},
             "*mangle\n:MINE - [0:0]\n-A PREROUTING -p tcp -j MINE\n-A MINE -j MARK --set-mark 5\nCOMMIT\n"
             "*filter\n-A FORWARD -s 192.0.2.0/24 -j DROP\nCOMMIT\n");
  router.run("ip6tables-restore", {"--noflush"}, "*mangle\n-A PREROUTING -p tcp -j ACCEPT\nCOMMIT\n");
  const std::string operators = rules();
  EXPECT_THAT(operators, Not(HasSubstr("NETSERV")));

  start_forwarder();
  start_container();
  ASSERT_EQ(set_filters({sip}), "");
  EXPECT_THAT(rules(), HasSubstr("NETSERV-MATCH -d 10.0.2.0/24 -p udp -m udp --dport 5060 -m mark ! --mark"));
  for (int i = 0; i < 50; ++i) send(client, "ping under way");
  end(forwarder, SIGKILL);
  EXPECT_THAT(rules(), HasSubstr("NETSERV-MATCH"));  // left behind, but
  until([&] {                                        // the kernel passes what no one queues for
    send(client, "after the kill");
    ::usleep(1000);
    std::string got = receive(server, MSG_DONTWAIT);
    return got == "after the kill";
  });

  end(container, SIGKILL);
  start_forwarder();
  EXPECT_EQ(std::regex_replace(rules(), std::regex("[^\n]*NETSERV-MATCH[^\n]*\n"), ""), operators);
  start_container();
  ASSERT_EQ(set_filters({sip}), "");
  while (receive(client, MSG_DONTWAIT) != "nothing") {
  }
  send(client, "ping again");
  EXPECT_EQ(receive(client), "pong again");

  end(forwarder, SIGKILL);
  router.run(kForwarder, {"--clean"});
  EXPECT_EQ(rules(), operators);
  start_forwarder();
  end(forwarder, SIGTERM);
  EXPECT_EQ(rules(), operators);
}

}  // namespace
}  // namespace netserv::test
