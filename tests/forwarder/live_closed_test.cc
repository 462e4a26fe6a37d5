// Fail-closed: packets for which there can be no verdict stay here, also those that the forwarder never gets to see. Others
// pass by as ever.
#include "live_plane.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

namespace netserv::test {
namespace {

constexpr std::uint16_t kOpenPort = 5062;

class FailClosed : public LivePlane {
 protected:
  std::vector<std::string> limits() override { return {}; }  // the forwarder is stopped, and stays so
  void SetUp() override {
    LivePlane::SetUp();
    open_server = router.server_udp(AF_INET, kOpenPort);
    begin();
  }
  void begin() {
    start_container();
    ipc::SetFilters set;
    set.container = ContainerId(1);
    Filter open = sip;
    open.destination_port = kOpenPort;
    set.filters = {{sip, ModuleSlot(0), true, false, 0, 1}, {open, ModuleSlot(0), false, false, 0, 1}};
    tell(set);
    ASSERT_EQ(answer<ipc::FiltersSet>().error, "");
    send(client, "drop");  // the way is known to all
    until([&] { return stats()["processed_dropped"] == 1; });
  }
  // What has been sent before to either port has come by then, if it passed the router without the forwarder.
  void until_open_ones_pass_by() {
    until([&] {
      send(client, "change", kOpenPort);
      ::usleep(1000);
      return receive(open_server, MSG_DONTWAIT) == "change";  // as it was sent
    });
  }
  void expect_none_passes(std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) send(client, "plain");
    until_open_ones_pass_by();
    EXPECT_EQ(received(), 0);
  }
  void expect_nothing_passes_a_stopped_forwarder() {
    stop(forwarder);
    until_open_ones_pass_by();
    expect_none_passes(20);
    ::kill(forwarder, SIGCONT);
  }
  // More than there is room for.
  void overfill_a_stopped_forwarder(std::uint64_t count) {
    make_room_at_the_server();
    stop(forwarder);
    expect_none_passes(count);
    ::kill(forwarder, SIGCONT);
  }
  // The rest was dropped, some of it by the plane itself, and counted.
  void until_all_are_accounted_for(std::uint64_t sent, const std::string& dropped_by_the_plane) {
    std::uint64_t came = 0;
    until([&] {
      auto s = stats();
      came += static_cast<std::uint64_t>(received());
      return came + s[dropped_by_the_plane] + s["dropped_fail_closed"] == sent;
    });
    EXPECT_GT(stats()[dropped_by_the_plane], 0u);
    EXPECT_GT(came, 0u);
  }
  void expect_nothing_passes_a_dead_forwarder() {
    end(forwarder, SIGKILL);
    until_open_ones_pass_by();
    expect_none_passes(20);

    end(container, SIGKILL);
    start_forwarder();
    begin();
    until([&] { return send(client, "ping"), receive(client, MSG_DONTWAIT) == "pong"; });
  }
  bool kept() const {
    return std::ranges::any_of(std::filesystem::directory_iterator(router.bpf_folder()),
                               [](const auto& entry) { return entry.is_directory(); });
  }
  int received() {
    int n = 0;
    while (receive(server, MSG_DONTWAIT) != "nothing") ++n;
    return n;
  }
  sys::UniqueFd open_server;
};

class XdpFailClosed : public FailClosed {
 protected:
  std::string plane() override { return "xdp"; }
};

TEST_F(XdpFailClosed, NothingPassesAStoppedForwarder) {
  expect_nothing_passes_a_stopped_forwarder();
  until([&] { return stats()["in_flight"] == 0; });
  auto s = stats();
  EXPECT_EQ(s["xdp_dropped_fail_closed"], 20u);
  EXPECT_GT(s["bypass_heartbeat"], 0u);
  until([&] { return send(client, "ping"), receive(client, MSG_DONTWAIT) == "pong"; });
}

TEST_F(XdpFailClosed, NothingPassesADeadForwarder) { expect_nothing_passes_a_dead_forwarder(); }

TEST_F(XdpFailClosed, NothingIsKeptByOneThatEndsInOrderOrThatNobodyAskedTo) {
  end(forwarder, SIGTERM);
  until([&] { return send(client, "plain"), receive(server, MSG_DONTWAIT) == "plain"; });
  end(container, SIGKILL);
  start_forwarder();
  begin();
  ASSERT_EQ(set_filters({sip}), "");  // open ones
  EXPECT_FALSE(kept());
  until([&] { return send(client, "ping"), receive(client, MSG_DONTWAIT) == "pong"; });
  end(forwarder, SIGKILL);
  until([&] { return send(client, "plain"), receive(server, MSG_DONTWAIT) == "plain"; });
}

TEST_F(XdpFailClosed, WhatADeadForwarderLeftIsTakenAway) {
  end(forwarder, SIGKILL);
  EXPECT_TRUE(kept());
  router.run(kForwarder, {"--run-dir", router.folder(), "--bpf-dir", router.bpf_folder(), "--clean"});
  EXPECT_FALSE(kept());
  send(client, "plain");
  EXPECT_EQ(receive(server), "plain");
}

// One that comes back is another link.
TEST_F(XdpFailClosed, NothingPassesADeadForwarderAfterAnInterfaceHasChanged) {
  router.remake_link("c");
  client.reset();
  client = router.client_udp(AF_INET, 4000);
  until([&] { return send(client, "ping"), receive(client, MSG_DONTWAIT) == "pong"; });
  received();
  expect_nothing_passes_a_dead_forwarder();
}

// Its sockets are opened anew then, and the kernel forwards what did not ask for fail-closed.
TEST_F(XdpFailClosed, NothingPassesWhileInterfacesAreTakenUpAgain) {
  for (int round = 0; round < 5; ++round) {
    router.remake_link("s");
    const std::uint64_t before = stats()["processed_dropped"];
    until([&] {
      for (int i = 0; i < 20; ++i) send(client, "drop");  // some are in the lane at the time
      ::usleep(200);
      return stats()["processed_dropped"] > before;
    });
    EXPECT_EQ(received(), 0);
  }
}

class XdpFailClosedFull : public XdpFailClosed {
 protected:
  std::vector<std::string> limits() override { return LivePlane::limits(); }
};

// Under load there are some whenever an interface changes.
TEST_F(XdpFailClosedFull, WhatIsInTheLaneWhenInterfacesAreTakenUpAgainDoesNotPass) {
  std::atomic<bool> enough = false, changing = false;
  std::thread sender([&] {  // not at the moment in which a route appears: the kernel might see it where the program did not
    while (!enough) changing ? static_cast<void>(::usleep(100)) : send(client, "drop");
  });
  std::uint64_t dropped = 0;
  until([&] {
    changing = true;
    router.remake_link("s");
    changing = false;
    const std::uint64_t before = stats()["processed_dropped"];
    until([&] { return stats()["processed_dropped"] > before; });  // it is taken up
    dropped = stats()["xdp_dropped_reopening"];
    return dropped > 0;
  });
  enough = true;
  sender.join();
  until([&] { return stats()["in_flight"] == 0; });
  EXPECT_EQ(received(), 0);
  EXPECT_EQ(stats()["xdp_passed_reopening"], 0u);
}

TEST_F(XdpFailClosedFull, WhatThereIsNoRoomForDoesNotPass) {
  overfill_a_stopped_forwarder(2500);  // the lane holds 2,048
  until([&] { return stats()["in_flight"] == 0; });
  until_all_are_accounted_for(2500, "xdp_dropped_fail_closed");
  EXPECT_GT(stats()["bypass_full"], 0u);
}

class NetfilterFailClosed : public FailClosed {
 protected:
  std::string plane() override { return "netfilter"; }
};

TEST_F(NetfilterFailClosed, WhatAStoppedForwarderHasNotDecidedWaits) {
  expect_nothing_passes_a_stopped_forwarder();
  int came = 0;
  until([&] { return came += received(), came + static_cast<int>(stats()["dropped_fail_closed"]) == 20; });
  EXPECT_EQ(stats()["queue_dropped_fail_closed"], 0u);
}

TEST_F(NetfilterFailClosed, WhatThereIsNoRoomForDoesNotPass) {
  overfill_a_stopped_forwarder(9000);  // the queue holds 8,192
  until_all_are_accounted_for(9000, "queue_dropped_fail_closed");
}

TEST_F(NetfilterFailClosed, NothingPassesADeadForwarder) { expect_nothing_passes_a_dead_forwarder(); }

// Rules as coarse as many others make them are for packets that pass by in the worst case.
TEST_F(NetfilterFailClosed, TooManyAreRefusedByNumber) {
  ipc::SetFilters set;
  set.container = ContainerId(1);
  for (std::uint16_t port = 10'000; port < 10'257; ++port)
    set.filters.push_back({{kProtocolUdp, port, {}, {}}, ModuleSlot(0), true, false, 0, 1});
  tell(set);
  EXPECT_THAT(answer<ipc::FiltersSet>().error, ::testing::HasSubstr("more than 256 filters that ask for fail-closed"));
  until([&] { return send(client, "ping"), receive(client, MSG_DONTWAIT) == "pong"; });  // what was wanted before stands
}

}  // namespace
}  // namespace netserv::test
