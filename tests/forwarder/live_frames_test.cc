// Frames that no sound host sends, and interfaces that go away: nothing crashes, hangs or leaks, and what is the
// node's own never reaches a module.
#include <gmock/gmock.h>

#include <filesystem>
#include <random>

#include "live_plane.h"
#include "plane/test_packets.h"

namespace netserv::test {
namespace {

using plane::make_udp;

void set_u16(Bytes& b, std::size_t at, unsigned value) {
  b[at] = std::byte(value >> 8 & 0xff);
  b[at + 1] = std::byte(value & 0xff);
}

// IPv6/UDP with `extensions` before the UDP header: hop-by-hop options with a router alert, as GIST sends.
Bytes udp6_with_extensions(std::uint16_t to_port, int extensions, std::string_view payload) {
  Bytes plain = make_udp({"2001:db8:1::1", "2001:db8:2::2", 4000, to_port, payload});
  Bytes out(plain.begin(), plain.begin() + 40);
  set_u16(out, 4, static_cast<unsigned>(plain.size() - 40 + 8u * static_cast<unsigned>(extensions)));
  out[6] = std::byte{extensions > 0 ? std::uint8_t{0} : kProtocolUdp};
  for (int i = 0; i < extensions; ++i) {
    std::uint8_t next = i + 1 < extensions ? 60 : kProtocolUdp;
    for (unsigned b : {unsigned{next}, 0u, i == 0 ? 5u : 1u, i == 0 ? 2u : 4u, 0u, 0u, i == 0 ? 1u : 0u, 0u})
      out.push_back(std::byte(b));
  }
  out.insert(out.end(), plain.begin() + 40, plain.end());
  return out;
}

Bytes with_options(Bytes v4) {
  v4[0] = std::byte{0x46};
  v4.insert(v4.begin() + 20, {std::byte{1}, std::byte{1}, std::byte{1}, std::byte{0}});
  set_u16(v4, 2, static_cast<unsigned>(v4.size()));
  fix_checksums(v4);
  return v4;
}

class LiveFrames : public LivePlane {
 protected:
  void SetUp() override {
    LivePlane::SetUp();
    link = router.client_frames();
    ethernet = router.towards_router();
    start_container();
    // Broad, as some policies grant them.
    ASSERT_EQ(set_filters({{kProtocolUdp, {}, {}, {}}, {{}, {}, {}, *Prefix::parse("10.0.2.0/24")},
                           {{}, {}, {}, *Prefix::parse("2001:db8:2::/64")}, sip, sip6}), "");
  }
  void send_frame(ByteSpan packet, unsigned type, std::size_t vlan_tags = 0) {
    Bytes frame = ethernet;
    auto u16 = [&](unsigned v) { frame.push_back(std::byte(v >> 8)), frame.push_back(std::byte(v & 0xff)); };
    for (std::size_t i = 0; i < vlan_tags; ++i) u16(0x8100), u16(7);
    u16(type);
    frame.insert(frame.end(), packet.begin(), packet.end());
    ::send(link.get(), frame.data(), frame.size(), 0);  // the kernel may refuse the worst of them
  }
  void send_packet(ByteSpan packet) {
    send_frame(packet, !packet.empty() && std::to_integer<unsigned>(packet[0]) >> 4 == 6 ? 0x86dd : 0x0800);
  }
  // All that came has ended, nothing is lost, and the forwarder still works.
  void all_is_well() {
    std::string mark = "ping " + std::to_string(++marks);
    until([&] {  // neighbours may have to be found again
      ::sendto(client.get(), mark.data(), mark.size(), 0, reinterpret_cast<sockaddr*>(&to_server), sizeof to_server);
      ::usleep(1000);
      for (std::string got; (got = receive(client, MSG_DONTWAIT)) != "nothing";)
        if (got == "pong " + std::to_string(marks)) return true;
      return false;
    });
    until([&] { return stats()["in_flight"] == 0; });
    auto s = stats();
    EXPECT_EQ(s["packets_in"], sum(s));
    EXPECT_EQ(s["xdp_frames_missing"] + s["xdp_bad_metadata"] + s["queue_malformed"], 0u);
    EXPECT_EQ(::waitpid(forwarder, nullptr, WNOHANG), 0);
    EXPECT_EQ(::waitpid(container, nullptr, WNOHANG), 0);
  }

  void many_flows_are_answered() {
    for (std::uint16_t port = 6000; port < 6032; ++port) {  // the client's kernel spreads them
      auto flow = router.client_udp(AF_INET, port);
      ::sendto(flow.get(), "ping flow", 9, 0, reinterpret_cast<sockaddr*>(&to_server), sizeof to_server);
      std::string got;
      until([&] {  // at the client, or past the module at the server
        got = receive(flow, MSG_DONTWAIT);
        if (got == "nothing") got = receive(server, MSG_DONTWAIT);
        return got.ends_with(" flow");
      });
      ASSERT_EQ(got, "pong flow");
    }
  }

  // All packet memory is accounted for when the forwarder ends, or it says so by its exit code.
  void ends_well() {
    all_is_well();
    for (int i = 0; i < 50; ++i) send_packet(make_udp({"10.0.1.1", "10.0.2.2"}));  // some are on their way
    int status = 0;
    ::kill(forwarder, SIGTERM);
    ASSERT_EQ(::waitpid(forwarder, &status, 0), forwarder);
    forwarder = 0;
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }

  sys::UniqueFd link;
  Bytes ethernet;
  int marks = 0;
  sockaddr_in to_server = [] {
    sockaddr_in a{};
    a.sin_family = AF_INET, a.sin_port = htons(5060);
    ::inet_pton(AF_INET, Router::kServer, &a.sin_addr);
    return a;
  }();
};

std::vector<Bytes> sound_packets() {
  Bytes fragment = make_udp({"10.0.1.1", "10.0.2.2", 4000, 5060, "fragment", 64, true});
  Bytes fragment6 = udp6_with_extensions(5060, 1, "fragment");
  fragment6[6] = std::byte{44};
  Bytes tcp = make_udp({"10.0.1.1", "10.0.2.2", 4000, 80, "not really TCP, but long enough"});
  tcp[9] = std::byte{kProtocolTcp};
  return {make_udp({"10.0.1.1", "10.0.2.2"}), make_udp({"2001:db8:1::1", "2001:db8:2::2"}),
          with_options(make_udp({"10.0.1.1", "10.0.2.2"})), fragment, fragment6, tcp,
          udp6_with_extensions(5060, 1, "one"), udp6_with_extensions(5060, 9, "more than are read")};
}

TEST_P(LiveFrames, TruncatedAtEveryLength) {
  for (const Bytes& packet : sound_packets())
    for (std::size_t length = 0; length <= packet.size(); ++length) send_packet(ByteSpan(packet).first(length));
  ends_well();
}

TEST_P(LiveFrames, LengthsThatLie) {
  for (const Bytes& packet : sound_packets()) {
    bool v6 = std::to_integer<unsigned>(packet[0]) >> 4 == 6;
    for (unsigned length : {0u, 1u, 7u, 8u, 19u, 20u, 27u, 28u, 0x7ffu, 0x800u, 0x5dcu, 0xffffu}) {
      Bytes lying = packet;
      set_u16(lying, v6 ? 4 : 2, length);
      send_packet(lying);
    }
    for (unsigned first = 0; first < 256; ++first) {  // version and header length
      Bytes lying = packet;
      lying[0] = std::byte(first);
      send_frame(lying, v6 ? 0x86dd : 0x0800);
    }
    for (std::size_t at : {41u, 49u}) {  // an extension header's length
      if (!v6 || at >= packet.size()) continue;
      for (unsigned length : {1u, 2u, 31u, 255u}) {
        Bytes lying = packet;
        lying[at] = std::byte(length);
        send_packet(lying);
      }
    }
  }
  ends_well();
}

TEST_P(LiveFrames, TagsPaddingAndRandomBytes) {
  std::mt19937 random(7);
  auto packets = sound_packets();
  for (const Bytes& packet : packets) {
    for (std::size_t tags : {1u, 2u, 3u}) send_frame(packet, 0x0800, tags);
    Bytes padded = packet;
    padded.resize(packet.size() + 40);
    send_packet(padded);
  }
  for (int i = 0; i < 3000; ++i) {
    Bytes packet = packets[random() % packets.size()];
    if (i % 3 == 0) packet.resize(random() % 1500);
    for (unsigned flips = 1 + random() % 8; flips > 0 && !packet.empty(); --flips)
      packet[random() % std::min<std::size_t>(packet.size(), 80)] = std::byte(random() & 0xff);
    if (i % 10 == 0)
      for (std::byte& b : packet) b = std::byte(random() & 0xff);
    send_frame(packet, random() % 2 ? 0x0800 : 0x86dd);
  }
  ends_well();
}

TEST_P(LiveFrames, JumboFramesPassByAndTheOthersAsEver) {
  end(forwarder, SIGKILL);
  end(container, SIGKILL);
  router.set_mtu(9000);
  start_forwarder();
  start_container();
  ASSERT_EQ(set_filters({sip, sip6}), "");
  for (std::size_t length : {3000u, 8900u}) {
    send(client, std::string(length, 'x'));
    EXPECT_EQ(receive(server), std::string(2048, 'x'));  // as much as receive() has room for
    send(client6, std::string(length, 'x'));
    EXPECT_EQ(receive(server6), std::string(2048, 'x'));
  }
  auto s = stats();
  EXPECT_EQ(s["passed_by_oversize"] + s["bypass_oversize"], 4u);
  ends_well();
}

TEST_P(LiveFrames, AModuleSeesThePacketWithoutThePadding) {
  Bytes packet = make_udp({"10.0.1.1", "10.0.2.2", 4000, 5060, "size"});
  packet.resize(46);  // the shortest frame is 60 bytes
  send_packet(packet);
  EXPECT_EQ(receive(server), "0032");
}

// The container drops all that it is shown: what arrives has not been shown to it.
TEST_P(LiveFrames, SignallingAndTheNodesOwnAddressesReachNoModule) {
  auto signalling = router.server_udp(AF_INET, 270), signalling6 = router.server_udp(AF_INET6, 270);
  auto own = router.router_udp(AF_INET, 7000), own6 = router.router_udp(AF_INET6, 7000);
  all_is_well();  // neighbours are known
  send_packet(make_udp({"10.0.1.1", "10.0.2.2", 4000, 270, "drop v4"}));
  EXPECT_EQ(receive(signalling), "drop v4");
  send_packet(with_options(make_udp({"10.0.1.1", "10.0.2.2", 4000, 270, "drop options"})));
  EXPECT_EQ(receive(signalling), "drop options");
  send_packet(make_udp({"2001:db8:1::1", "2001:db8:2::2", 4000, 270, "drop v6"}));
  EXPECT_EQ(receive(signalling6), "drop v6");
  send_packet(udp6_with_extensions(270, 1, "drop alert"));
  EXPECT_EQ(receive(signalling6), "drop alert");
  send_packet(make_udp({"10.0.1.1", Router::kRouter, 4000, 7000, "drop own"}));
  EXPECT_EQ(receive(own), "drop own");
  // With forwarding off, the FIB says so before it looks whose address it is.
  router.run("sysctl", {"-qw", "net.ipv6.conf.to_c.forwarding=0"});
  send_packet(make_udp({"2001:db8:1::1", Router::kRouter6, 4000, 7000, "drop own6"}));
  EXPECT_EQ(receive(own6), "drop own6");
  auto s = stats();
  EXPECT_EQ(s["passed_by_signalling"] + s["passed_by_reserved"], 0u);  // the plane itself left them alone
}

// Whoever could choose how to look to go around a module would.
TEST_P(LiveFrames, WhateverTheKernelForwardsReachesTheModule) {
  std::vector<Bytes> packets;
  for (const char* source : {"240.0.0.1", "169.254.1.1", "0.1.2.3"})
    packets.push_back(make_udp({source, "10.0.2.2", 4000, 5060, "drop v4"}));
  packets.push_back(udp6_with_extensions(5060, 9, "drop v6"));
  for (std::size_t i = 0; i < packets.size(); ++i) {
    SCOPED_TRACE(i);
    send_packet(packets[i]);
    until([&] { return stats()["processed_dropped"] == i + 1; });
  }
}

TEST_P(LiveFrames, RulesByPortDecideAboutTheRoute) {
  auto closed = router.server_udp(AF_INET, 5061), closed6 = router.server_udp(AF_INET6, 5061);
  for (const char* family : {"-4", "-6"})
    router.run("ip", {family, "rule", "add", "pref", "100", "ipproto", "udp", "dport", "5061", "blackhole"});
  all_is_well();
  for (std::uint16_t port : {5061, 5060}) {
    send_packet(make_udp({"10.0.1.1", "10.0.2.2", 4000, port, "v4"}));
    send_packet(make_udp({"2001:db8:1::1", "2001:db8:2::2", 4000, port, "v6"}));
  }
  EXPECT_EQ(receive(server), "v4");
  EXPECT_EQ(receive(server6), "v6");
  EXPECT_EQ(receive(closed, MSG_DONTWAIT), "nothing");
  EXPECT_EQ(receive(closed6, MSG_DONTWAIT), "nothing");
}

// With the egress link's MTU smaller than the packet, which may be cut, the xdp plane leaves both to the kernel.
TEST_P(LiveFrames, WhatHasToBeCutArrivesAllTheSame) {
  router.run("ip", {"link", "set", "to_s", "mtu", "1280"});
  all_is_well();
  const std::string long_one(1400, 'x');
  send_packet(make_udp({"10.0.1.1", "10.0.2.2", 4000, 5060, long_one}));
  EXPECT_EQ(receive(server), long_one);
  auto s = stats();
  EXPECT_EQ(s["bypass_icmp"], 0u);
  EXPECT_EQ(s["bypass_oversize"], plane() == "xdp" ? 1u : 0u);
  ends_well();
}

TEST_P(LiveFrames, ManagementAddressesReachNoModule) {
  tell(ipc::SetReserved{{*Prefix::parse("10.0.2.2")}});
  stats();  // it is in force
  send(client, "drop me");
  EXPECT_EQ(receive(server), "drop me");
  EXPECT_EQ(stats()["passed_by_reserved"], 1u);
  tell(ipc::SetReserved{});
  all_is_well();
}

TEST_P(LiveFrames, InterfacesGoDownAndComeBack) {
  all_is_well();
  for (const char* interface : {"to_c", "to_s"}) {
    router.run("ip", {"link", "set", interface, "down"});
    for (int i = 0; i < 200; ++i) send_packet(make_udp({"10.0.1.1", "10.0.2.2"}));
    router.run("ip", {"link", "set", interface, "up"});
    all_is_well();
  }
}

TEST_P(LiveFrames, InterfacesAreRemovedAndMadeAgainOrGetAnotherAddressOrMtu) {
  all_is_well();
  for (const char* part : {"c", "s"}) {
    for (int i = 0; i < 100; ++i) send_packet(make_udp({"10.0.1.1", "10.0.2.2"}));  // some are still on their way
    router.remake_link(part);
    link = router.client_frames();
    ethernet = router.towards_router();
    all_is_well();
  }
  router.run("ip", {"link", "set", "to_c", "address", "02:00:00:00:00:77"});
  router.run("ip", {"link", "set", "to_s", "mtu", "1400"});
  router.forget_neighbours("c");
  ethernet = router.towards_router();
  ends_well();
}

// The xdp plane sends by what the kernel knows of next hops; the kernel's own forwarding would ask them now and then.
TEST_P(LiveFrames, ANextHopIsAskedWhetherItIsStillThere) {
  send(client, "plain");
  EXPECT_EQ(receive(server), "plain");
  router.run("sysctl", {"-qw", "net.ipv4.neigh.to_s.delay_first_probe_time=1"});
  router.run("ip", {"neigh", "change", Router::kServer, "dev", "to_s", "nud", "stale"});
  auto state = [&] { return router.run("ip", {"neigh", "show", Router::kServer, "dev", "to_s"}); };
  ASSERT_EQ(state().find("REACHABLE"), std::string::npos);
  until([&] {
    send(client, "plain");
    EXPECT_EQ(receive(server), "plain");
    return state().find("REACHABLE") != std::string::npos;
  });
}

// Nothing tells when another's XDP program has gone.
TEST_P(LiveFrames, AnInterfaceThatAnotherProgramHoldsIsTakenUpWhenItIsFree) {
  if (plane() != "xdp") return;  // the netfilter plane holds no interface
  auto rename = [&](const char* from, const char* to) {
    router.run("ip", {"link", "set", from, "down"});
    router.run("ip", {"link", "set", from, "name", to});
    router.run("ip", {"link", "set", to, "up"});
  };
  rename("to_s", "spare");
  until([&] { return said_of_itself() == "to_c native copy, 1 queue"; });
  const std::string folder = router.folder() + "/other";
  std::filesystem::create_directory(folder);
  pid_t other = router.start({kForwarder, "--run-dir", folder, "--plane", "xdp", "--interface", "spare"});
  until([&] { return std::filesystem::exists(folder + "/forwarder.sock"); });  // it has the interface, and its sockets there
  stop(other);  // it would let go of it when the name has gone
  rename("spare", "to_s");
  until([&] { return said_of_itself().starts_with("to_c native copy, 1 queue; to_s not used: another XDP program is attached"); });
  end(other, SIGKILL);
  until([&] { return said_of_itself() == "to_c native copy, 1 queue; to_s native copy, 1 queue"; });
  all_is_well();
}

TEST_P(LiveFrames, AllQueuesOfAnInterfaceAreUsed) {
  router.remake_link("c", 2);
  all_is_well();
  many_flows_are_answered();
  all_is_well();
  if (plane() == "xdp") {
    EXPECT_EQ(said_of_itself(), "to_c native copy, 2 queues; to_s native copy, 1 queue");
  }
}

TEST_P(LiveFrames, AQueueThatAnInterfaceGetsLaterIsUsed) {
  end(forwarder, SIGKILL);
  end(container, SIGKILL);
  router.remake_link("c", 2);
  ASSERT_TRUE(router.use_queues("c", 1));
  link = router.client_frames();
  ethernet = router.towards_router();
  start_forwarder();
  start_container();
  ASSERT_EQ(set_filters({sip}), "");
  all_is_well();
  if (plane() == "xdp") {
    EXPECT_EQ(said_of_itself(), "to_c native copy, 1 queue; to_s native copy, 1 queue");
  }
  ASSERT_TRUE(router.use_queues("c", 2));
  if (plane() == "xdp") until([&] { return said_of_itself() == "to_c native copy, 2 queues; to_s native copy, 1 queue"; });
  all_is_well();
  many_flows_are_answered();
  ends_well();
}

INSTANTIATE_TEST_SUITE_P(Planes, LiveFrames, ::testing::Values("netfilter", "xdp"), plane_name);

}  // namespace
}  // namespace netserv::test
