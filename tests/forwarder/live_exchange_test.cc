// The xdp plane under load: what is ready to leave does so in the frames that come.
#include "live_plane.h"

namespace netserv::test {
namespace {

class XdpExchange : public LivePlane {
 protected:
  std::string plane() override { return "xdp"; }
  // One of them stops the container.
  std::vector<std::string> limits() override { return {"--stall-ms", "2000", "--heartbeat-ms", "20000"}; }
  void SetUp() override {
    LivePlane::SetUp();
    int bytes = 32 << 20;  // a late burst of all that was sent
    for (const auto* socket : {&server, &client})
      ASSERT_EQ(::setsockopt(socket->get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes), 0);
    start_container();
    // This one goes on sending while those two work.
    if (sysconf(_SC_NPROCESSORS_ONLN) > 1) pin(0, 0), pin(forwarder, 1), pin(container, 1);
    ASSERT_EQ(set_filters({sip}), "");
    send(client, "drop");  // the way is known to all
    until([&] { return stats()["processed_dropped"] == 1; });
  }
  void TearDown() override {
    if (HasFailure() && forwarder > 0) {
      std::cerr << said_of_itself() << "\n";
      for (const auto& [name, value] : stats())
        if (value > 0) std::cerr << name << " " << value << "\n";
    }
    LivePlane::TearDown();
  }
  static void pin(pid_t process, int cpu) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ASSERT_EQ(::sched_setaffinity(process, sizeof one, &one), 0);
  }
  // Of any length, so that a frame that comes must grow or shrink to be the one that leaves. In the order of their numbers.
  static std::string numbered(int i) {
    std::string text = std::to_string(1'000'000 + i);
    return "change " + text + std::string(static_cast<std::size_t>(i) * 377 % 1200, static_cast<char>('a' + i % 26));
  }
  void send_some(int count) {
    for (int i = 0; i < count; ++i) send(client, numbered(sent++));
  }
  // The forwarder finds them all together.
  void send_at_once(int count) {
    stop(forwarder);
    send_some(count);
    ::kill(forwarder, SIGCONT);
  }
  void collect() {
    for (std::string got; (got = receive(server, MSG_DONTWAIT)) != "nothing";) came.push_back(got);
  }
  bool all_came() { return collect(), came.size() == static_cast<std::size_t>(sent); }
  // Whether the packets can have come by so many ways, in order by each.
  static bool in_order(const std::vector<std::string>& texts, std::size_t ways) {
    std::vector<std::string> newest(ways);  // descending
    return std::ranges::all_of(texts, [&](const std::string& text) {
      std::string number = text.substr(7, 7);
      auto way = std::ranges::find_if(newest, [&](const std::string& before) { return number > before; });
      if (way != newest.end()) *way = number;
      return way != newest.end();
    });
  }
  // Every packet as it was sent but for what the module changes, unless the kernel forwarded it; each once. Those that leave
  // in others and those that leave by sockets may overtake each other in the moment when load falls, as the interfaces are
  // another core's than the forwarder.
  void expect_all_sound(std::size_t ways = 2) {
    until([&] { return all_came(); });
    auto s = stats();
    // Packets that pass by, the forwarder or the container, overtake others, as do those that it gives up.
    std::uint64_t by = s["bypass_heartbeat"] + s["bypass_full"] + s["lost_in_container"];
    for (const auto& [name, value] : s) by += name.starts_with("passed_by_") ? value : 0;
    EXPECT_TRUE(by > 0 || in_order(came, ways));
    std::ranges::sort(came, {}, [](const std::string& text) { return text.substr(1); });
    for (std::size_t i = 0; i < came.size(); ++i) {
      std::string expected = numbered(static_cast<int>(i));
      ASSERT_EQ(came[i].substr(1), expected.substr(1)) << "packet " << i;
      ASSERT_TRUE(came[i][0] == 'C' || by > 0) << "packet " << i;
    }
    EXPECT_EQ(s["xdp_exchange_lost"] + s["xdp_bad_metadata"] + s["xdp_to_kernel_failed"] + s["xdp_transmit_ring_full"], 0u);
    EXPECT_EQ(s["packets_in"], sum(s));
    EXPECT_EQ(s["xdp_frames_missing"], 0u);
  }
  void until_exchanged(std::uint64_t count) {
    until([&] {
      // No more than a ring holds: the rest would pass by.
      send_at_once(200);
      send_some(300);  // what the first ones leave in
      collect();
      return stats()["xdp_exchanged"] >= count;
    });
  }

  int sent = 0;
  std::vector<std::string> came;
};

TEST_F(XdpExchange, PacketsLeaveInThoseThatComeWholeAndInOrder) {
  until_exchanged(2000);
  expect_all_sound();
  EXPECT_EQ(end_orderly(), 0);
}

TEST_F(XdpExchange, RepliesLeaveInThemToo) {
  int pings = 0, pongs = 0;
  until([&] {
    stop(forwarder);
    for (int i = 0; i < 400; ++i, ++pings) send(client, "ping");
    ::kill(forwarder, SIGCONT);
    for (int i = 0; i < 400; ++i, ++pings) send(client, "ping");
    while (receive(client, MSG_DONTWAIT) == "pong") ++pongs;
    return stats()["xdp_exchanged"] >= 500;
  });
  until([&] {
    while (receive(client, MSG_DONTWAIT) == "pong") ++pongs;
    int passed = 0;
    while (receive(server, MSG_DONTWAIT) == "ping") ++passed;  // by, or beyond what the publisher may send
    pings -= passed;
    return pongs == pings;
  });
  EXPECT_GT(pongs, 500);
}

// Nobody else sends: they are not held for long, and none overtakes another.
TEST_F(XdpExchange, WhatNoOtherComesForLeavesAllTheSame) {
  for (int round = 0; round < 20; ++round) {
    send_at_once(400);
    until([&] { return all_came(); });
  }
  expect_all_sound(1);
}

// While a container keeps its packets, another's do not wait for them.
TEST_F(XdpExchange, AStoppedContainerHoldsNobodysPackets) {
  until_exchanged(500);
  stop(container);
  send_at_once(400);
  until([&] { return all_came(); });  // those it has pass by when it is given up
  ::kill(container, SIGCONT);
}

TEST_F(XdpExchange, AFarEndThatTakesNoMoreRedirectsIsServedBySockets) {
  until_exchanged(500);
  until([&] { return all_came(); });
  router.take_redirects("s", false);
  // In the moment before the plane hears of it packets are lost.
  until([&] {
    int before = static_cast<int>(came.size());
    auto exchanged = stats()["xdp_exchanged"];
    send_at_once(400);
    send_some(400);
    ::usleep(100'000);
    collect();
    return static_cast<int>(came.size()) - before == 800 && stats()["xdp_exchanged"] == exchanged;
  });
  router.take_redirects("s", true);
  auto exchanged = stats()["xdp_exchanged"];
  until_exchanged(exchanged + 500);
}

TEST_F(XdpExchange, ALinkMadeAgainUnderLoadLeavesNoFrameBehind) {
  until_exchanged(500);
  send_at_once(400);
  router.remake_link("s");
  server.reset();
  server = router.server_udp(AF_INET, 5060);
  auto exchanged = stats()["xdp_exchanged"];
  until_exchanged(exchanged + 500);
  until([&] { return stats()["in_flight"] == 0; });
  EXPECT_EQ(stats()["xdp_frames_missing"], 0u);
  EXPECT_EQ(end_orderly(), 0);
}

TEST_F(XdpExchange, AnOrderlyEndLosesNothing) {
  until_exchanged(500);
  send_at_once(400);
  EXPECT_EQ(end_orderly(), 0);
  until([&] { return all_came(); });
}

}  // namespace
}  // namespace netserv::test
