#include "support/container_fixture.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

namespace netserv::test {
namespace {

constexpr int kPatienceMs = 20'000;
const std::string kPrograms = NETSERV_BINARY_DIR "/bin";

// Once a process: what is mounted and configured here vanishes with it.
void enter_own_namespaces() {
  static const bool entered = [] {
    NETSERV_CHECK(::unshare(CLONE_NEWNS | CLONE_NEWNET) == 0);
    NETSERV_CHECK(::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
    return true;
  }();
  (void)entered;
}

}  // namespace

ContainerFixture::ContainerFixture() {
  enter_own_namespaces();
  std::random_device random;
  std::uint32_t number = random();
  folder_ = fmt::format("/tmp/netserv-container-test-{:08x}", number);
  std::filesystem::create_directories(folder_ + "/modules");
  std::filesystem::create_directories(folder_ + "/ring");
  std::filesystem::create_directories(folder_ + "/run");
  // The build folder may lie where the container's user can't look.
  std::filesystem::copy_file(kPrograms + "/netserv-container", folder_ + "/netserv-container");
  NETSERV_CHECK(::mount("tmpfs", (folder_ + "/ring").c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                        "size=16m") == 0);
  spec.name = fmt::format("nst-{:08x}", number);
  spec.state_folder = folder_ + "/lxc";
  spec.run_folder = folder_ + "/run/c";
  spec.module_folder = folder_ + "/modules";
  spec.program = folder_ + "/netserv-container";
  spec.id_base = 1'000'000 + number % 1'000'000;
  spec.host_interface = fmt::format("nst{:08x}", number);
  spec.address4 = *IpAddress::parse("10.231.0.1");
  spec.address6 = *IpAddress::parse("fd23::1");

  int ends[2];
  NETSERV_CHECK(::pipe2(ends, O_CLOEXEC) == 0);
  watcher_ = ::fork();
  NETSERV_CHECK(watcher_ >= 0);
  if (watcher_ == 0) {
    ::setsid();
    ::close(ends[1]);
    char byte;
    while (::read(ends[0], &byte, 1) < 0) {
    }
    std::string command = fmt::format("{0}/netserv-launch --stop {1} --state-folder {2}/lxc >/dev/null; umount {2}/ring; rm -rf {2}",
                                      kPrograms, spec.name, folder_);
    ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(ends[0]);
  watcher_pipe_ = ends[1];
}

ContainerFixture::~ContainerFixture() {
  rings_.clear();
  channel_.close();
  ::close(watcher_pipe_);
  ::waitpid(watcher_, nullptr, 0);
}

template <class T>
T ContainerFixture::run_until_done(
    const std::function<void(lxc::ContainerHost&, std::function<void(T)>)>& call) {
  sys::EventLoop loop;
  lxc::ContainerHost host(loop, kPrograms + "/netserv-launch", spec.state_folder);
  std::optional<T> result;
  call(host, [&](T value) {
    result = std::move(value);
    loop.stop();
  });
  loop.run();
  return std::move(*result);
}

Result<lxc::ContainerStarted> ContainerFixture::start() {
  return run_until_done<Result<lxc::ContainerStarted>>([&](lxc::ContainerHost& host, auto done) { host.start(spec, done); });
}
Status ContainerFixture::stop() {
  return run_until_done<Status>([&](lxc::ContainerHost& host, auto done) { host.stop(spec.name, done); });
}
Result<std::vector<lxc::ContainerFound>> ContainerFixture::list() {
  return run_until_done<Result<std::vector<lxc::ContainerFound>>>([&](lxc::ContainerHost& host, auto done) { host.list(done); });
}
Status ContainerFixture::clean_up() {
  return run_until_done<Status>([&](lxc::ContainerHost& host, auto done) { host.clean_up(done); });
}

Status ContainerFixture::set_network(const lxc::NetworkGrants& grants) {
  return run_until_done<Status>(
      [&](lxc::ContainerHost& host, auto done) { host.set_network(spec.name, grants, done); });
}

Result<ipc::Welcome> ContainerFixture::connect(std::uint32_t protocol) {
  NETSERV_ASSIGN(sys::UniqueFd fd, sys::connect_seqpacket(lxc::control_socket(spec.run_folder)));
  channel_ = sys::Channel(std::move(fd));
  return ask<ipc::Welcome>(ipc::Hello{protocol});
}

Result<ipc::FromContainer> ContainerFixture::next_message() {
  pollfd readable{channel_.fd(), POLLIN, 0};
  if (::poll(&readable, 1, kPatienceMs) <= 0) return fail(Origin::kSystem, "container", "does not answer");
  sys::Datagram datagram;
  NETSERV_ASSIGN(auto received, channel_.receive(datagram, ipc::kMaxMessageBytes));
  if (received != sys::Channel::Received::kMessage) return fail(Origin::kSystem, "container", "hung up");
  return ipc::decode<ipc::FromContainer>(datagram.bytes);
}

Status ContainerFixture::attach_ring(std::uint64_t generation, std::uint32_t parts) {
  std::vector<std::unique_ptr<ring::RingProducer>> rings;
  std::vector<int> fds;
  for (std::uint32_t i = 0; i < parts; ++i) {
    NETSERV_ASSIGN(auto made, ring::RingProducer::create(folder_ + "/ring", ring::slots_of_part(parts)));
    fds.insert(fds.end(), {made->file_fd(), made->container_event_fd(), made->forwarder_event_fd()});
    rings.push_back(std::move(made));
  }
  NETSERV_ASSIGN(auto attached, ask<ipc::RingAttached>(ipc::AttachRing{generation}, fds));
  if (!attached.error.empty()) return fail(Origin::kSystem, "ring", attached.error);
  rings_ = std::move(rings);
  return {};
}

std::optional<ring::Reaped> ContainerFixture::through(ByteSpan packet, std::uint64_t modules, std::size_t number) {
  ring::RingProducer& ring = *rings_[number];
  ring::PacketMeta meta;
  meta.original_length = static_cast<std::uint32_t>(packet.size());
  meta.modules = modules;
  if (!ring.stage(packet, meta)) return {};
  ring.publish();
  ring::Reaped out;
  while (ring.reap({&out, 1}) == 0) {
    if (!ring.prepare_wait()) continue;
    pollfd woken{ring.forwarder_event_fd(), POLLIN, 0};
    int ready = ::poll(&woken, 1, kPatienceMs);
    ring.end_wait();
    if (ready <= 0) return {};
  }
  return out;
}

Status ContainerFixture::load(const std::string& id, int slot, std::string_view wat) {
  NETSERV_TRY(compile(with_manifest(wat), spec.module_folder, id));
  return load_object(id, slot, id + ".so");
}

Status ContainerFixture::load_object(const std::string& id, int slot, const std::string& object) {
  ::chmod((spec.module_folder + "/" + object).c_str(), 0644);
  ipc::LoadModule request;
  request.module = ModuleId(id);
  request.slot = ModuleSlot(static_cast<std::uint8_t>(slot));
  request.object = object;
  request.age = ++age_;
  request.blocks = {"packet/1", "timer/1", "log/1", "properties/1", "counters/1", "udp/1"};
  request.memory_pages = 1024;
  NETSERV_TRY(channel_.send(ipc::encode(ipc::ToContainer(request))));
  while (true) {
    NETSERV_ASSIGN(ipc::FromContainer message, next_message());
    if (std::holds_alternative<ipc::ModuleLoaded>(message)) return {};
    if (auto* failed = std::get_if<ipc::ModuleFailed>(&message)) return fail(Origin::kPublisher, id, failed->reason);
    unasked.push_back(std::move(message));
  }
}

std::string ContainerFixture::container_log() const {
  std::ifstream in(spec.run_folder + "/container.log");
  return {std::istreambuf_iterator<char>(in), {}};
}

std::uint64_t private_memory_bytes(pid_t pid) {
  std::ifstream in(fmt::format("/proc/{}/smaps_rollup", pid));
  std::uint64_t total = 0, kb = 0;
  std::string line;
  while (std::getline(in, line))
    if (line.rfind("Private_Clean:", 0) == 0 || line.rfind("Private_Dirty:", 0) == 0) {
      kb = std::stoull(line.substr(14));
      total += kb * 1024;
    }
  return total;
}

pid_t parent_of(pid_t pid) {
  std::ifstream in(fmt::format("/proc/{}/status", pid));
  std::string line;
  while (std::getline(in, line))
    if (line.rfind("PPid:", 0) == 0) return std::stoi(line.substr(5));
  return -1;
}

}  // namespace netserv::test
