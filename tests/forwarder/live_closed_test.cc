// Fail-closed on the xdp plane: packets for which there can be no verdict stay here, also those that the forwarder never
// gets to see. Others pass by as ever.
#include "live_plane.h"

namespace netserv::test {
namespace {

constexpr std::uint16_t kOpenPort = 5062;

class XdpFailClosed : public LivePlane {
 protected:
  std::string plane() override { return "xdp"; }
  std::vector<std::string> limits() override { return {}; }  // the forwarder is stopped, and stays so
  void SetUp() override {
    LivePlane::SetUp();
    open_server = router.server_udp(AF_INET, kOpenPort);
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
  int received() {
    int n = 0;
    while (receive(server, MSG_DONTWAIT) != "nothing") ++n;
    return n;
  }
  sys::UniqueFd open_server;
};

TEST_F(XdpFailClosed, NothingPassesAStoppedForwarder) {
  stop(forwarder);
  until_open_ones_pass_by();
  for (int i = 0; i < 20; ++i) send(client, "plain");
  until_open_ones_pass_by();
  EXPECT_EQ(received(), 0);
  ::kill(forwarder, SIGCONT);
  until([&] { return stats()["in_flight"] == 0; });
  auto s = stats();
  EXPECT_EQ(s["xdp_dropped_fail_closed"], 20u);
  EXPECT_GT(s["bypass_heartbeat"], 0u);
  until([&] { return send(client, "ping"), receive(client, MSG_DONTWAIT) == "pong"; });
}

class XdpFailClosedFull : public XdpFailClosed {
 protected:
  std::vector<std::string> limits() override { return LivePlane::limits(); }
};

TEST_F(XdpFailClosedFull, WhatThereIsNoRoomForDoesNotPass) {
  const int bytes = 16 << 20;  // all that comes in the end
  ASSERT_EQ(::setsockopt(server.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes), 0);
  stop(forwarder);
  std::uint64_t sent = 0;
  for (; sent < 2500; ++sent) send(client, "plain");  // the lane holds 2,048
  until_open_ones_pass_by();
  EXPECT_EQ(received(), 0);
  ::kill(forwarder, SIGCONT);
  until([&] { return stats()["in_flight"] == 0; });
  std::uint64_t came = 0;
  until([&] {
    auto s = stats();
    came += static_cast<std::uint64_t>(received());
    return came + s["xdp_dropped_fail_closed"] + s["dropped_fail_closed"] == sent;
  });
  auto s = stats();
  EXPECT_GT(s["xdp_dropped_fail_closed"], 0u);
  EXPECT_GT(s["bypass_full"], 0u);
  EXPECT_GT(came, 0u);
}

}  // namespace
}  // namespace netserv::test
