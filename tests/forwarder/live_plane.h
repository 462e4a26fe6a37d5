// The fixture of the live tests: a router with the forwarder, a container process at the far end of a ring, and a
// control connection as netservd has it.
#pragma once

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <regex>

#include "plane/scripted_container.h"
#include "router.h"
#include "sys/seqpacket.h"
#include "wire/ipc/archive.h"
#include "wire/ipc/forwarder_messages.h"

namespace netserv::test {

inline constexpr const char* kForwarder = NETSERV_BINARY_DIR "/bin/netserv-forwarder";

inline void until(const std::function<bool()>& condition) {
  for (int i = 0; i < 6000; ++i) {
    if (condition()) return;
    ::usleep(10'000);
  }
  FAIL() << "the condition did not come true within a minute";
}

// The module: "drop..." is dropped, "ping..." answered in place with "pong" and "ring..." with the number of the ring it
// came by, "change..." gets other bytes, all else passes; "size" is replaced by the packet's length in four digits. Ports
// and addresses are swapped for the answer.
inline void module(const ring::SubmitDescriptor& d, std::span<std::byte> bytes, ring::Completion& c, std::size_t ring) {
  auto headers = parse_packet(ByteSpan(bytes).first(d.length));
  if (!headers) return;
  std::size_t payload = headers->l3_length + 8u;
  auto starts = [&](std::string_view word) {
    return as_text(ByteSpan(bytes).subspan(payload, std::min<std::size_t>(word.size(), d.length - payload))) == word;
  };
  if (starts("drop")) c.verdict = NETSERV_DROP;
  if (starts("size")) {  // how long it is, as this side sees it
    std::string digits = std::to_string(10'000 + d.length).substr(1);
    std::ranges::copy(as_bytes(digits), bytes.begin() + static_cast<long>(payload));
    c.changed = 1;
  }
  if (starts("change")) {
    bytes[payload] = std::byte{'C'};
    c.changed = 1;
  }
  if (starts("ping") || starts("ring")) {
    std::size_t width = headers->source.is_v4() ? 4 : 16, at = headers->source.is_v4() ? 12 : 8;
    std::swap_ranges(bytes.begin() + static_cast<long>(at), bytes.begin() + static_cast<long>(at + width),
                     bytes.begin() + static_cast<long>(at + width));
    auto ports = bytes.begin() + headers->l3_length;
    std::swap_ranges(ports, ports + 2, ports + 2);
    if (starts("ping")) bytes[payload + 1] = std::byte{'o'};
    else bytes[payload] = static_cast<std::byte>('0' + ring);
    c.verdict = NETSERV_REPLY;
    c.changed = 1;
  }
}

[[noreturn]] inline void container_main(std::vector<sys::UniqueFd> fds) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int fd = 3; fd < 256; ++fd)  // nothing of the test's but the ring
    if (std::ranges::none_of(fds, [&](const sys::UniqueFd& own) { return own.get() == fd; })) ::close(fd);
  std::vector<std::unique_ptr<plane::ScriptedContainer>> rings;
  std::vector<pollfd> wake;
  for (std::size_t i = 0; i < fds.size(); i += 3) {
    auto ring = ring::RingConsumer::attach(std::move(fds[i]), std::move(fds[i + 1]), std::move(fds[i + 2]));
    if (!ring) ::_exit(1);
    wake.push_back({(*ring)->wake_fd(), POLLIN, 0});
    rings.push_back(std::make_unique<plane::ScriptedContainer>(
        *std::move(ring), [k = i / 3](const ring::SubmitDescriptor& d, std::span<std::byte> bytes, ring::Completion& c) {
          module(d, bytes, c, k);
        }));
  }
  for (;;) {
    std::size_t some = 0;
    for (auto& one : rings) some += one->run_once();
    if (some > 0) continue;
    bool idle = true;
    for (auto& one : rings) idle &= one->ring().prepare_wait();
    if (idle) ::poll(wake.data(), wake.size(), -1);
    for (auto& one : rings) one->ring().end_wait();
  }
}

inline std::string plane_name(const ::testing::TestParamInfo<const char*>& plane) { return plane.param; }
// "xdp", or with several workers "xdp_2".
inline int workers_of(std::string_view parameter) {
  std::size_t at = parameter.find('_');
  return at == std::string_view::npos ? 1 : parameter[at + 1] - '0';
}

class LivePlane : public ::testing::TestWithParam<const char*> {
 protected:
  // As many workers as the links have queues.
  explicit LivePlane(int its_workers = 1) : workers(its_workers), router(its_workers) {}
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
  // How long the forwarder waits for a container, and the kernel for the forwarder: neither is passed by because the machine
  // stood still for a moment. None: the product's own.
  virtual std::vector<std::string> limits() { return {"--stall-ms", "20000", "--heartbeat-ms", "20000"}; }
  static void end(pid_t& pid, int signal_number) {
    if (pid <= 0) return;
    ::kill(pid, signal_number);
    ::waitpid(pid, nullptr, 0);
    pid = 0;
  }
  // All its threads stand when this returns.
  static void stop(pid_t pid) {
    ::kill(pid, SIGSTOP);
    ::waitpid(pid, nullptr, WUNTRACED);
  }
  // SIGTERM; 0 also says that no frame of packet memory is missing.
  int end_orderly() {
    ::kill(forwarder, SIGTERM);
    return exit_status();
  }
  // Waits for the forwarder's end; -1 if it did not exit by itself.
  int exit_status() {
    int status = 0;
    ::waitpid(std::exchange(forwarder, 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  void start_forwarder() {
    std::vector<std::string> command{kForwarder, "--run-dir", router.folder(), "--bpf-dir", router.bpf_folder(), "--plane", plane()};
    if (plane() == "xdp") command.insert(command.end(), {"--interface", "to_c", "--interface", "to_s"});
    if (workers > 1) command.insert(command.end(), {"--workers", std::to_string(workers)});
    std::ranges::copy(limits(), std::back_inserter(command));
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
    EXPECT_EQ(welcome.workers, static_cast<std::uint32_t>(workers));
    detail = welcome.plane_detail;
    EXPECT_THAT(welcome.plane_detail, ::testing::HasSubstr(plane() == "xdp" ? "to_c " : "NFQUEUE"));
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
  void start_container(std::uint32_t packets_per_second = 100'000) {
    ipc::ConfigureContainer config;
    config.container = ContainerId(1);
    config.publisher = "alice";
    config.authorised = {*Prefix::parse("10.0.2.0/24"), *Prefix::parse("2001:db8:2::/64")};
    config.emit_packets_per_second = packets_per_second;
    tell(config);
    answer<ipc::ContainerRing>();
    ASSERT_EQ(datagram.fds.size(), 3u * static_cast<std::size_t>(workers));
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
  // So that what arrives is not lost there, however slow the machine.
  void make_room_at_the_server() {
    const int bytes = 16 << 20;
    ASSERT_EQ(::setsockopt(server.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes), 0);
  }
  // The plane's own words, as they are now.
  std::string said_of_itself() {
    tell(ipc::GetForwarderStats{});
    return answer<ipc::ForwarderStats>().plane_detail;
  }
  void send(const sys::UniqueFd& from, const std::string& text, std::uint16_t port = 5060) {
    sockaddr_storage to{};
    bool v4 = from.get() != client6.get();
    if (v4) {
      auto& a = reinterpret_cast<sockaddr_in&>(to);
      a.sin_family = AF_INET, a.sin_port = htons(port);
      ::inet_pton(AF_INET, Router::kServer, &a.sin_addr);
    } else {
      auto& a = reinterpret_cast<sockaddr_in6&>(to);
      a.sin6_family = AF_INET6, a.sin6_port = htons(port);
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
  // All that was sent to a module, and what the xdp plane passed by the forwarder among it.
  static std::uint64_t came(std::map<std::string, std::uint64_t> s) {
    return s["packets_in"] + s["bypass_heartbeat"] + s["bypass_full"];
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

  const int workers;
  Router router;
  std::string detail;  // the plane's own words
  sys::Channel control;
  sys::Datagram datagram;
  sys::UniqueFd client, server, client6, server6;
  pid_t forwarder = 0, container = 0;
  const Filter sip{kProtocolUdp, 5060, {}, *Prefix::parse("10.0.2.0/24")};
  const Filter sip6{kProtocolUdp, 5060, {}, *Prefix::parse("2001:db8:2::/64")};
};

}  // namespace netserv::test
