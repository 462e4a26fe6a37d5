// netserv-forwarder on a router in a namespace, with the netfilter plane (real NFQUEUE, real rules) and with the xdp
// plane (a real XDP program on both interfaces): the same packets, a container process at the far end of the ring.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <functional>
#include <regex>

#include "plane/scripted_container.h"
#include "router.h"
#include "sys/seqpacket.h"
#include "wire/ipc/archive.h"
#include "wire/ipc/forwarder_messages.h"

namespace netserv::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kForwarder = NETSERV_BINARY_DIR "/bin/netserv-forwarder";

void until(const std::function<bool()>& condition) {
  for (int i = 0; i < 6000; ++i) {
    if (condition()) return;
    ::usleep(10'000);
  }
  FAIL() << "the condition did not come true within a minute";
}

// The module: "drop..." is dropped, "ping..." answered in place with "pong", "change..." gets other bytes, all
// else passes. Ports and addresses are swapped for the answer.
void module(const ring::SubmitDescriptor& d, std::span<std::byte> bytes, ring::Completion& c) {
  auto headers = parse_packet(ByteSpan(bytes).first(d.length));
  if (!headers) return;
  std::size_t payload = headers->l3_length + 8u;
  auto starts = [&](std::string_view word) {
    return as_text(ByteSpan(bytes).subspan(payload, std::min<std::size_t>(word.size(), d.length - payload))) == word;
  };
  if (starts("drop")) c.verdict = NETSERV_DROP;
  if (starts("change")) {
    bytes[payload] = std::byte{'C'};
    c.changed = 1;
  }
  if (starts("ping")) {
    std::size_t width = headers->source.is_v4() ? 4 : 16, at = headers->source.is_v4() ? 12 : 8;
    std::swap_ranges(bytes.begin() + static_cast<long>(at), bytes.begin() + static_cast<long>(at + width),
                     bytes.begin() + static_cast<long>(at + width));
    auto ports = bytes.begin() + headers->l3_length;
    std::swap_ranges(ports, ports + 2, ports + 2);
    bytes[payload + 1] = std::byte{'o'};
    c.verdict = NETSERV_REPLY;
    c.changed = 1;
  }
}

[[noreturn]] void container_main(std::vector<sys::UniqueFd> fds) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int fd = 3; fd < 256; ++fd)  // nothing of the test's but the ring
    if (std::ranges::none_of(fds, [&](const sys::UniqueFd& own) { return own.get() == fd; })) ::close(fd);
  auto ring = ring::RingConsumer::attach(std::move(fds[0]), std::move(fds[1]), std::move(fds[2]));
  if (!ring) ::_exit(1);
  plane::ScriptedContainer container(*std::move(ring), module);
  for (;;) {
    if (container.run_once() > 0) continue;
    if (container.ring().prepare_wait()) {
      pollfd p{container.ring().wake_fd(), POLLIN, 0};
      ::poll(&p, 1, -1);
    }
    container.ring().end_wait();
  }
}

class LivePlane : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    start_forwarder();
    client = router.client_udp(AF_INET, 4000);
    server = router.server_udp(AF_INET, 5060);
    client6 = router.client_udp(AF_INET6, 4000);
    server6 = router.server_udp(AF_INET6, 5060);
  }
  void TearDown() override {
    end(container, SIGKILL);
    end(forwarder, SIGKILL);
  }
  virtual std::string plane() { return GetParam(); }
  static void end(pid_t& pid, int signal_number) {
    if (pid <= 0) return;
    ::kill(pid, signal_number);
    ::waitpid(pid, nullptr, 0);
    pid = 0;
  }
  void start_forwarder() {
    std::vector<std::string> command{kForwarder, "--run-dir", router.folder(), "--plane", plane()};
    if (plane() == "xdp") command.insert(command.end(), {"--interface", "to_c", "--interface", "to_s"});
    forwarder = router.start(command);
    connect();
  }
  void connect() {
    until([&] {
      auto fd = sys::connect_seqpacket(router.folder() + "/forwarder.sock");
      if (fd) control = sys::Channel(*std::move(fd));
      return fd.has_value();
    });
    tell(ipc::ForwarderHello{});
    auto welcome = answer<ipc::ForwarderWelcome>();
    EXPECT_EQ(welcome.plane, plane());
    EXPECT_THAT(welcome.plane_detail, HasSubstr(plane() == "xdp" ? "to_c native" : "NFQUEUE"));
  }
  void tell(const ipc::ToForwarder& message) { ASSERT_TRUE(control.send(ipc::encode(message))); }
  // The next message of this kind; others on the way are dropped.
  template <class Message>
  Message answer() {
    Message out;
    until([&] {
      pollfd p{control.fd(), POLLIN, 0};
      ::poll(&p, 1, 1000);
      datagram = {};
      auto got = control.receive(datagram, ipc::kMaxControlBytes);
      if (!got || *got != sys::Channel::Received::kMessage) return false;
      auto message = ipc::decode<ipc::FromForwarder>(datagram.bytes);
      if (!message || !std::holds_alternative<Message>(*message)) return false;
      out = std::get<Message>(*message);
      return true;
    });
    return out;
  }
  void start_container() {
    ipc::ConfigureContainer config;
    config.container = ContainerId(1);
    config.publisher = "alice";
    config.authorised = {*Prefix::parse("10.0.2.0/24"), *Prefix::parse("2001:db8:2::/64")};
    config.emit_packets_per_second = 100'000;
    tell(config);
    answer<ipc::ContainerRing>();
    ASSERT_EQ(datagram.fds.size(), 3u);
    container = ::fork();
    if (container == 0) container_main(std::move(datagram.fds));
  }
  std::string set_filters(std::vector<Filter> filters) {
    ipc::SetFilters set;
    set.container = ContainerId(1);
    for (const Filter& f : filters) set.filters.push_back({f, ModuleSlot(0), false, false, 0, 1});
    tell(set);
    return answer<ipc::FiltersSet>().error;
  }
  std::map<std::string, std::uint64_t> stats() {
    tell(ipc::GetForwarderStats{});
    return answer<ipc::ForwarderStats>().node;
  }
  void send(const sys::UniqueFd& from, const std::string& text) {
    sockaddr_storage to{};
    bool v4 = from.get() == client.get();
    if (v4) {
      auto& a = reinterpret_cast<sockaddr_in&>(to);
      a.sin_family = AF_INET, a.sin_port = htons(5060);
      ::inet_pton(AF_INET, Router::kServer, &a.sin_addr);
    } else {
      auto& a = reinterpret_cast<sockaddr_in6&>(to);
      a.sin6_family = AF_INET6, a.sin6_port = htons(5060);
      ::inet_pton(AF_INET6, Router::kServer6, &a.sin6_addr);
    }
    ASSERT_EQ(::sendto(from.get(), text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&to),
                       v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6)),
              static_cast<ssize_t>(text.size()));
  }
  static std::string receive(const sys::UniqueFd& at, int flags = 0) {
    char text[2048];
    ssize_t n = ::recv(at.get(), text, sizeof text, flags);
    return n < 0 ? "nothing" : std::string(text, static_cast<std::size_t>(n));
  }
  static std::uint64_t sum(const std::map<std::string, std::uint64_t>& s) {
    std::uint64_t total = s.at("in_flight");
    for (const auto& [name, value] : s)
      if (name.starts_with("passed_by_") || name.starts_with("processed_") || name == "lost_in_container" ||
          name == "dropped_fail_closed")
        total += value;
    return total;
  }
  std::string rules() {
    std::string all = router.run("iptables-save", {}) + router.run("ip6tables-save", {});
    return std::regex_replace(all, std::regex("#[^\n]*\n|\\[[0-9:]+\\]"), "");
  }

  Router router;
  sys::Channel control;
  sys::Datagram datagram;
  sys::UniqueFd client, server, client6, server6;
  pid_t forwarder = 0, container = 0;
  const Filter sip{kProtocolUdp, 5060, {}, *Prefix::parse("10.0.2.0/24")};
  const Filter sip6{kProtocolUdp, 5060, {}, *Prefix::parse("2001:db8:2::/64")};
};

TEST_P(LivePlane, VerdictsTakeEffectInBothIpVersions) {
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

TEST_P(LivePlane, FiltersStayWhenNetservdIsGone) {
  start_container();
  ASSERT_EQ(set_filters({sip}), "");
  control.close();
  send(client, "ping 1");
  EXPECT_EQ(receive(client), "pong 1");
  connect();
  EXPECT_EQ(stats()["processed_replied"], 1u);
}

TEST_P(LivePlane, DrainLetsEverythingPass) {
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

TEST_P(LivePlane, AContainerKilledUnderTrafficIsPassedByAndEveryPacketAccounted) {
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
  EXPECT_EQ(s["packets_in"], static_cast<std::uint64_t>(sent));
  EXPECT_EQ(s["packets_in"], sum(s));
  EXPECT_GT(s["passed_by_stalled"] + s["lost_in_container"], 0u);
  EXPECT_EQ(s["queue_user_overruns"] + s["queue_overruns"], 0u);
}

// The kernel's own view of the path: the same packets with no forwarder at all.
TEST_P(LivePlane, WhateverHappensToTheForwarderTrafficGoesOn) {
  start_container();
  ASSERT_EQ(set_filters({sip}), "");
  send(client, "ping 1");
  EXPECT_EQ(receive(client), "pong 1");
  ::kill(forwarder, SIGSTOP);
  until([&] {  // xdp: when the heartbeat is too old; netfilter: when the queue is full
    for (int i = 0; i < 500; ++i) send(client, "plain");
    return receive(server, MSG_DONTWAIT) == "plain";
  });
  ::kill(forwarder, SIGCONT);
  until([&] {
    send(client, "ping 2");
    ::usleep(1000);
    return receive(client, MSG_DONTWAIT) == "pong 2";
  });
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
  while (receive(client, MSG_DONTWAIT) != "nothing") {
  }
  send(client, "ping again");
  EXPECT_EQ(receive(client), "pong again");
}

TEST_P(LivePlane, AThousandFiltersOfOneShapeAreTaken) {
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

INSTANTIATE_TEST_SUITE_P(Planes, LivePlane, ::testing::Values("netfilter", "xdp"),
                         [](const auto& info) { return std::string(info.param); });

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
  EXPECT_THAT(rules(), HasSubstr("NETSERV-MATCH -d 10.0.2.0/24 -p udp -m udp --dport 5060 -j NFQUEUE"));
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
