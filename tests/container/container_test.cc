// Containers as they run: liblxc, namespaces, cgroups, seccomp, ring and control protocol together. Needs root.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "support/container_fixture.h"

namespace netserv::test {
namespace {

// Drops packets that begin with 'D', traps on 'T', adds one to the first byte of all others.
constexpr std::string_view kModule = R"(
  (func (export "netserv_process") (param $n i32) (local $p i32) (local $b i32)
    (local.set $p (i32.const 4096))
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $n)))
      (local.set $b (i32.load8_u (i32.load (local.get $p))))
      (if (i32.eq (local.get $b) (i32.const 84)) (then unreachable))
      (if (i32.eq (local.get $b) (i32.const 68))
        (then (i32.store8 offset=36 (local.get $p) (i32.const 1)))
        (else (i32.store8 (i32.load (local.get $p)) (i32.add (local.get $b) (i32.const 1)))
              (i32.store8 offset=37 (local.get $p) (i32.const 1))))
      (local.set $p (i32.add (local.get $p) (i32.const 48)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br $next)))))";

bool cgroups_left(const std::string& name) {
  for (const auto& hierarchy : std::filesystem::directory_iterator("/sys/fs/cgroup"))
    for (const char* kind : {"lxc.payload.", "lxc.monitor."})
      if (std::filesystem::exists(hierarchy.path() / (kind + name))) return true;
  return std::filesystem::exists("/sys/fs/cgroup/lxc.payload." + name);
}

void wait_for_end(pid_t pid) {
  int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return;
  pollfd ended{fd, POLLIN, 0};
  ASSERT_EQ(::poll(&ended, 1, 20'000), 1);
  ::close(fd);
}

struct ContainerTest : ::testing::Test {
  ContainerFixture c;
  pid_t init = 0;

  void SetUp() override {
    auto started = c.start();
    ASSERT_TRUE(started) << started.error().message();
    init = started->init_pid;
    auto welcome = c.connect();
    ASSERT_TRUE(welcome) << welcome.error().message();
    EXPECT_EQ(welcome->runtime, "wasm");
    EXPECT_EQ(welcome->ring_generation, 0u);
    EXPECT_TRUE(welcome->modules.empty());
  }
  // Whether it ends; the list may say so a moment after its first process is gone.
  bool is_found_dead() {
    wait_for_end(init);
    for (int i = 0; i < 2000; ++i, ::usleep(10'000))
      if (auto found = c.list(); found && found->size() == 1 && !(*found)[0].running) return true;
    return false;
  }
  ipc::ModuleStatus status(const std::string& id) {
    auto all = c.ask<ipc::ContainerStatus>(ipc::GetStatus{});
    EXPECT_TRUE(all);
    for (auto& module : all->modules)
      if (module.module.value() == id) return module;
    ADD_FAILURE() << id << " is not there";
    return {};
  }
};

TEST_F(ContainerTest, ModulesComeTrapAndGoWithoutTouchingTheirNeighbours) {
  ASSERT_TRUE(c.attach_ring(1));
  auto loaded = c.load("one_1", 0, packet_module(kModule));
  ASSERT_TRUE(loaded) << loaded.error().message();
  auto verdict = c.through(as_bytes("Drop me"), 1);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->verdict, NETSERV_DROP);
  EXPECT_EQ(verdict->decided_by, 0);
  verdict = c.through(as_bytes("Add one"), 1);
  ASSERT_TRUE(verdict);
  EXPECT_TRUE(verdict->changed);
  Bytes back(7);
  c.ring().copy_out(verdict->slot, back);
  EXPECT_EQ(as_text(back), "Bdd one");

  ASSERT_TRUE(c.load_object("two_1", 1, "one_1.so"));
  verdict = c.through(as_bytes("Trap"), 2);
  ASSERT_TRUE(verdict);
  EXPECT_TRUE(verdict->skipped);
  auto trapped = c.wait_for<ipc::ModuleTrapped>();
  ASSERT_TRUE(trapped) << trapped.error().message();
  EXPECT_EQ(trapped->module.value(), "two_1");
  ASSERT_TRUE(c.wait_for<ipc::ModuleRestarted>());
  EXPECT_EQ(c.through(as_bytes("Drop"), 2)->decided_by, 1);
  ASSERT_TRUE(c.ask<ipc::ModuleUnloaded>(ipc::UnloadModule{ModuleId("two_1")}));
  EXPECT_TRUE(c.through(as_bytes("Drop"), 2)->skipped);
  const ipc::ModuleStatus before = status("one_1");
  EXPECT_EQ(before.packets, 2u);
  EXPECT_EQ(before.traps, 0u);

  // A new ring: no module restarts.
  ASSERT_TRUE(c.attach_ring(2));
  EXPECT_EQ(c.through(as_bytes("Drop me"), 1)->verdict, NETSERV_DROP);
  EXPECT_EQ(status("one_1").packets, 3u);
}

TEST_F(ContainerTest, IsAskedForItsStatusAndAnswersWhenThereIsSomethingNew) {
  ASSERT_TRUE(c.attach_ring(1));
  ASSERT_TRUE(c.load("one_1", 0, packet_module(kModule)));
  EXPECT_EQ(status("one_1").packets, 0u);
  ASSERT_TRUE(c.send(ipc::GetStatus{}));
  ASSERT_TRUE(c.ask<ipc::ModuleUnloaded>(ipc::UnloadModule{ModuleId("absent_1")}));
  EXPECT_TRUE(c.unasked.empty()) << "it has said the same again";
  ASSERT_TRUE(c.through(as_bytes("Drop"), 1));
  auto next = c.wait_for<ipc::ContainerStatus>();
  ASSERT_TRUE(next) << next.error().message();
  EXPECT_EQ(next->packets, 1u);

  // Who comes next has been told nothing yet.
  ASSERT_TRUE(c.send(ipc::GetStatus{}));
  c.disconnect();
  ASSERT_TRUE(c.connect());
  EXPECT_EQ(status("one_1").packets, 1u);
}

TEST_F(ContainerTest, ForwardsOnWithoutItsControllerAndIsAdoptedAgain) {
  ASSERT_TRUE(c.attach_ring(7));
  ASSERT_TRUE(c.load("one_1", 0, packet_module(kModule)));
  c.disconnect();
  EXPECT_EQ(c.through(as_bytes("Drop"), 1)->verdict, NETSERV_DROP);
  auto welcome = c.connect();
  ASSERT_TRUE(welcome) << welcome.error().message();
  EXPECT_EQ(welcome->ring_generation, 7u);
  ASSERT_EQ(welcome->modules.size(), 1u);
  EXPECT_EQ(welcome->modules[0].packets, 1u);
  EXPECT_EQ(welcome->modules[0].object, "one_1.so");
}

TEST_F(ContainerTest, AnswersInTheVersionOfWhoAsksAsFarAsItUnderstandsIt) {
  for (auto [asked, answered] : {std::pair{1u, 2u}, {2u, 2u}, {3u, 3u}, {4u, 3u}}) {
    c.disconnect();
    auto welcome = c.connect(asked);
    ASSERT_TRUE(welcome) << welcome.error().message();
    EXPECT_EQ(welcome->protocol, answered);
    EXPECT_TRUE(welcome->rings.covers(ring::kVersion));
  }
}

// Two modules see what lies in any ring's part of the window, and one sees the other's changes there.
TEST_F(ContainerTest, SeveralRingsDivideTheWindowAndAreExchangedUnderLoadedModules) {
  ASSERT_TRUE(c.attach_ring(1, 2));
  ASSERT_TRUE(c.load("one_1", 0, packet_module(kModule)));
  ASSERT_TRUE(c.load_object("two_1", 1, "one_1.so"));
  std::uint64_t seen = 0;
  for (std::uint32_t parts : {2u, 3u, 1u, ring::kMostParts}) {
    ASSERT_TRUE(c.attach_ring(parts, parts));
    for (std::uint32_t k = 0; k < parts; ++k) {
      ring::RingProducer& ring = c.ring(k);
      while (ring.free_slots() > 1) ASSERT_TRUE(ring.stage(as_bytes("Drop me"), {.modules = 1}));
      auto last = ring.stage(as_bytes("Add two"), {.modules = 3});  // at the end of its part
      ASSERT_TRUE(last);
      ring.publish();
      std::uint32_t dropped = 0, changed = 0;
      for (ring::Reaped r; dropped + changed < ring.slots();) {
        if (ring.reap({&r, 1}) == 0) {
          pollfd woken{ring.forwarder_event_fd(), POLLIN, 0};
          if (ring.prepare_wait()) {
            ASSERT_EQ(::poll(&woken, 1, 20'000), 1);
          }
          ring.end_wait();
          continue;
        }
        (r.verdict == NETSERV_DROP ? dropped : changed) += 1;
        if (r.slot == *last) {
          Bytes back(7);
          ring.copy_out(r.slot, back);
          EXPECT_EQ(as_text(back), "Cdd two") << "ring " << k << " of " << parts;
        }
        ring.release(r.slot);
      }
      EXPECT_EQ(changed, 1u);
      seen += ring.slots();
    }
  }
  const ipc::ModuleStatus after = status("one_1");
  EXPECT_EQ(after.packets, seen);
  EXPECT_EQ(after.traps, 0u);
}

TEST_F(ContainerTest, SleepsAgainOnceItWasWoken) {
  ASSERT_TRUE(c.attach_ring(1));
  ASSERT_TRUE(c.load("one_1", 0, packet_module(kModule)));
  // Every round of its loop moves the heartbeat.
  auto sleeps = [&] {
    std::uint64_t before = c.ring().heartbeat();
    ::usleep(100'000);
    return c.ring().heartbeat() == before;
  };
  for (int packet = 0; packet < 3; ++packet) {
    ASSERT_TRUE(c.through(as_bytes("Drop"), 1));
    bool asleep = false;
    for (int look = 0; look < 50 && !asleep; ++look) asleep = sleeps();
    EXPECT_TRUE(asleep) << "after packet " << packet;
  }
}

TEST_F(ContainerTest, RefusesPathsAndForeignObjects) {
  EXPECT_FALSE(c.load_object("x_1", 0, "../run/netserv/container.log"));
  EXPECT_FALSE(c.load_object("x_1", 0, "absent.so"));
  std::ofstream(c.spec.module_folder + "/junk.so") << "no object";
  EXPECT_FALSE(c.load_object("x_1", 0, "junk.so"));
}

TEST_F(ContainerTest, StoppingLeavesNothing) {
  ASSERT_NE(::if_nametoindex(c.spec.host_interface.c_str()), 0u);
  auto stopped = c.stop();
  ASSERT_TRUE(stopped) << stopped.error().message();
  EXPECT_EQ(::if_nametoindex(c.spec.host_interface.c_str()), 0u);
  EXPECT_FALSE(cgroups_left(c.spec.name));
  EXPECT_TRUE(std::filesystem::is_empty(c.spec.state_folder));
  EXPECT_TRUE(c.list()->empty());
  EXPECT_TRUE(c.stop());
}

TEST_F(ContainerTest, KilledWithItsMonitorIsFoundDeadAndCleanedUp) {
  pid_t monitor = parent_of(init);
  ASSERT_EQ(::kill(monitor, SIGKILL), 0);
  ::kill(init, SIGKILL);
  EXPECT_TRUE(is_found_dead());
  ASSERT_TRUE(c.clean_up());
  EXPECT_FALSE(cgroups_left(c.spec.name));
  EXPECT_EQ(::if_nametoindex(c.spec.host_interface.c_str()), 0u);
  EXPECT_TRUE(std::filesystem::is_empty(c.spec.state_folder));
  ASSERT_TRUE(c.start());
}

TEST_F(ContainerTest, NothingItHasCanBecomeCodeOrMoreRights) {
  ASSERT_TRUE(c.attach_ring(1));
  ASSERT_TRUE(c.load("one_1", 0, packet_module(kModule)));
  std::string build = fmt::format("gcc -O1 -shared -fPIC -o {}/hostile.so {}/tests/container/hostile.c",
                                  c.spec.module_folder, NETSERV_SOURCE_DIR);
  ASSERT_EQ(std::system(build.c_str()), 0);
  EXPECT_FALSE(c.load_object("hostile_1", 5, "hostile.so"));  // not an object of ours, but its code has run
  std::string log = c.container_log();
  EXPECT_NE(log.find("breaches 0\n"), std::string::npos) << log;
  EXPECT_EQ(log.find("BREACH"), std::string::npos) << log;
  EXPECT_EQ(c.through(as_bytes("Drop"), 1)->verdict, NETSERV_DROP);
}

TEST_F(ContainerTest, HasNoRightsAndNoNewOnes) {
  std::ifstream in(fmt::format("/proc/{}/status", init));
  std::string text(std::istreambuf_iterator<char>(in), {});
  for (const char* line : {"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2",
                           "Threads:\t1"})
    EXPECT_NE(text.find(line), std::string::npos) << line;
  for (const char* kind : {"user", "pid", "mnt", "ipc", "uts", "net"}) {
    std::string suffix = fmt::format("/ns/{}", kind);
    EXPECT_NE(std::filesystem::read_symlink(fmt::format("/proc/{}{}", init, suffix)),
              std::filesystem::read_symlink("/proc/self" + suffix));
  }
}

TEST_F(ContainerTest, SeesNothingThatIsWritableAndExecutableAndNoKernelFiles) {
  std::ifstream in(fmt::format("/proc/{}/mountinfo", init));
  std::map<std::string, std::set<std::string>> mounts;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string number, parent, device, root, point, options, rest;
    words >> number >> parent >> device >> root >> point >> options;
    std::istringstream list(options);
    for (std::string option; std::getline(list, option, ',');) mounts[point].insert(option);
    std::getline(words, rest);
    for (const char* kind : {"proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue"})
      EXPECT_EQ(rest.find(fmt::format(" - {} ", kind)), std::string::npos) << line;
    EXPECT_TRUE(mounts[point].count("ro") || mounts[point].count("noexec")) << line;
    EXPECT_TRUE(mounts[point].count("nosuid") && mounts[point].count("nodev")) << line;
  }
  EXPECT_TRUE(mounts["/"].count("ro"));
  EXPECT_TRUE(mounts["/modules"].count("ro"));
  EXPECT_TRUE(mounts["/run/netserv"].count("noexec"));
}

// Sends one datagram from within the container's network namespace; 0 or errno.
int send_from_inside(pid_t init, const char* address, std::uint16_t port) {
  pid_t child = ::fork();
  if (child == 0) {
    int netns = ::open(fmt::format("/proc/{}/ns/net", init).c_str(), O_RDONLY);
    if (::setns(netns, CLONE_NEWNET) != 0) ::_exit(255);
    sockaddr_storage to{};
    auto& in = reinterpret_cast<sockaddr_in&>(to);
    auto& in6 = reinterpret_cast<sockaddr_in6&>(to);
    if (::inet_pton(AF_INET, address, &in.sin_addr) == 1) {
      in.sin_family = AF_INET;
      in.sin_port = htons(port);
    } else {
      ::inet_pton(AF_INET6, address, &in6.sin6_addr);
      in6.sin6_family = AF_INET6;
      in6.sin6_port = htons(port);
    }
    int s = ::socket(to.ss_family, SOCK_DGRAM, 0);
    ::_exit(::sendto(s, "x", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) == 1 ? 0 : errno);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

struct NetworkTest : ContainerTest {
  NetworkTest() {
    c.spec.network.egress = {{*Prefix::parse("192.0.2.0/24"), 17, 4000}, {*Prefix::parse("2001:db8::/32"), 17, {}}};
  }
};

TEST_F(NetworkTest, OnlyGrantedDestinationsAreReachedOverARoutedVeth) {
  ASSERT_EQ(std::system("ip link set lo up; ip addr replace 192.0.2.1/32 dev lo; "
                        "ip addr replace 2001:db8::1/128 dev lo nodad"), 0);
  int listener = ::socket(AF_INET6, SOCK_DGRAM, 0);  // IPv4 too
  sockaddr_in6 local{};
  local.sin6_family = AF_INET6;
  local.sin6_port = htons(4000);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&local), sizeof local), 0);
  auto arrives = [&] {
    pollfd readable{listener, POLLIN, 0};
    char byte;
    return ::poll(&readable, 1, 20'000) == 1 && ::recv(listener, &byte, 1, 0) == 1;
  };
  EXPECT_EQ(send_from_inside(init, "192.0.2.1", 4000), 0);
  EXPECT_TRUE(arrives());
  EXPECT_EQ(send_from_inside(init, "2001:db8::1", 4000), 0);
  EXPECT_TRUE(arrives());
  EXPECT_EQ(send_from_inside(init, "192.0.2.1", 4001), EPERM);
  EXPECT_EQ(send_from_inside(init, "198.51.100.1", 4000), EPERM);
  EXPECT_EQ(send_from_inside(init, "2001:db9::1", 4000), EPERM);

  ASSERT_TRUE(c.set_network({}));
  EXPECT_EQ(send_from_inside(init, "192.0.2.1", 4000), EPERM);
  ::close(listener);
}

std::string in_cgroup(const std::string& name, const char* controller, const char* v1, const char* v2) {
  const std::string old = fmt::format("/sys/fs/cgroup/{}/lxc.payload.{}/{}", controller, name, v1);
  std::ifstream in(std::filesystem::exists(old) ? old : fmt::format("/sys/fs/cgroup/lxc.payload.{}/{}", name, v2));
  std::string first;
  in >> first;
  return first;
}

TEST_F(ContainerTest, CgroupLimitsAreInForce) {
  EXPECT_EQ(in_cgroup(c.spec.name, "pids", "pids.max", "pids.max"), std::to_string(c.spec.pids));
  EXPECT_EQ(in_cgroup(c.spec.name, "memory", "memory.limit_in_bytes", "memory.max"), std::to_string(c.spec.memory_bytes));
  EXPECT_EQ(in_cgroup(c.spec.name, "cpu", "cpu.cfs_quota_us", "cpu.max"), std::to_string(c.spec.cpu_percent * 1000));
}

struct SmallContainerTest : ContainerTest {
  SmallContainerTest() { c.spec.memory_bytes = 16u << 20; }
};

TEST_F(SmallContainerTest, AMemoryHogMeetsTheCgroupsLimitAndTheNodeDoesNotNotice) {
  ASSERT_TRUE(c.attach_ring(1));
  // Grows by 32 MiB and touches all of it.
  auto loaded = c.load("hog_1", 0, packet_module(R"(
    (func (export "netserv_process") (param i32) (local $a i32)
      (local.set $a (i32.mul (memory.size) (i32.const 65536)))
      (drop (memory.grow (i32.const 512)))
      (memory.fill (local.get $a) (i32.const 1) (i32.const 33554432))))"));
  ASSERT_TRUE(loaded) << loaded.error().message();
  ring::PacketMeta meta;
  meta.modules = 1;
  ASSERT_TRUE(c.ring().stage(as_bytes("x"), meta));
  c.ring().publish();
  EXPECT_TRUE(is_found_dead());
}

}  // namespace
}  // namespace netserv::test
