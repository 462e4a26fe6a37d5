#include "router.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>
#include <span>
#include <sstream>

#include "sys/run_tool.h"
#include "wire/ip/address.h"

namespace netserv::test {
namespace {

void must(bool ok, const std::string& what) {
  if (ok) return;
  std::fprintf(stderr, "router: %s\n", what.c_str());
  std::abort();
}

sys::UniqueFd socket_in(const std::string& space, int family, int type, int protocol) {
  sys::UniqueFd here(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  sys::UniqueFd there(::open(("/run/netns/" + space).c_str(), O_RDONLY | O_CLOEXEC));
  must(::setns(there.get(), CLONE_NEWNET) == 0, "setns");
  sys::UniqueFd fd(::socket(family, type | SOCK_CLOEXEC, protocol));
  must(::setns(here.get(), CLONE_NEWNET) == 0, "setns back");
  must(static_cast<bool>(fd), "socket");
  return fd;
}

}  // namespace

Router::Router(int queues) {
  char number[16];
  std::snprintf(number, sizeof number, "nsf%06x", std::random_device{}() & 0xffffffu);
  name_ = number;
  folder_ = "/tmp/" + name_;
  start_guard();
  must(::mkdir(folder_.c_str(), 0700) == 0 && ::mkdir((folder_ + "/rings").c_str(), 0700) == 0, "mkdir " + folder_);
  must(::mount("tmpfs", (folder_ + "/rings").c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=256m") == 0,
       "tmpfs");
  must(::mkdir(bpf_folder().c_str(), 0700) == 0 && ::mount("bpf", bpf_folder().c_str(), "bpf", 0, nullptr) == 0, "bpf");
  for (const char* part : {"c", "r", "s"}) ip("netns add " + name_ + part);
  for (const char* part : {"c", "s"}) {
    make_link(part, queues);
    ip("-n " + name_ + part + " link set lo up");
  }
  ip("-n " + name_ + "r link set lo up");
  run("sysctl", {"-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"});
}

void Router::make_link(const std::string& part, int queues) {
  std::string end = name_ + part, router = name_ + "r", count = std::to_string(queues);
  std::string several = queues == 1 ? "" : " numtxqueues " + count + " numrxqueues " + count;
  std::string net = part == "c" ? "1" : "2", host = net, gateway = part == "c" ? "2" : "1";
  ip("-n " + end + " link add eth0" + several + " type veth peer name to_" + part + several + " netns " + router);
  ip("-n " + end + " addr add 10.0." + net + "." + host + "/24 dev eth0");
  ip("-n " + end + " addr add 2001:db8:" + net + "::" + host + "/64 dev eth0 nodad");
  ip("-n " + router + " addr add 10.0." + net + "." + gateway + "/24 dev to_" + part);
  ip("-n " + router + " addr add 2001:db8:" + net + "::" + gateway + "/64 dev to_" + part + " nodad");
  // A checksum left to the "hardware" is lost where a frame leaves the kernel's own path.
  auto offload = sys::run_tool("nsenter", {"--net=/run/netns/" + end, "ethtool", "-K", "eth0", "tx", "off"});
  must(offload && offload->ok(), "ethtool -K eth0 tx off");
  take_redirects(part, true);
  ip("-n " + end + " link set eth0 up");
  ip("-n " + router + " link set to_" + part + " up");
  ip("-n " + end + " route add default via 10.0." + net + "." + gateway);
  ip("-n " + end + " -6 route add default via 2001:db8:" + net + "::" + gateway);
}

// A veth without GRO, and without an XDP program, takes none.
void Router::take_redirects(const std::string& part, bool on) {
  auto gro = sys::run_tool("nsenter", {"--net=/run/netns/" + name_ + part, "ethtool", "-K", "eth0", "gro", on ? "on" : "off"});
  must(gro && gro->ok(), "ethtool -K eth0 gro");
}

void Router::add_client_addresses(int count) {
  for (int i = 1; i <= count; ++i) ip("-n " + name_ + "c addr add 10.0.1." + std::to_string(100 + i) + "/24 dev eth0");
}

void Router::remake_link(const std::string& part, int queues) {
  ip("-n " + name_ + "r link del to_" + part);
  make_link(part, queues);
}

void Router::set_mtu(int bytes) {
  for (const std::string part : {"c", "s"}) {
    ip("-n " + name_ + part + " link set eth0 mtu " + std::to_string(bytes));
    ip("-n " + name_ + "r link set to_" + part + " mtu " + std::to_string(bytes));
  }
}

void Router::forget_neighbours(const std::string& part) { ip("-n " + name_ + part + " neigh flush all"); }

Router::~Router() {
  alive_.reset();
  ::waitpid(guard_, nullptr, 0);
}

void Router::start_guard() {
  int ends[2];
  must(::pipe2(ends, O_CLOEXEC) == 0, "pipe");
  guard_ = ::fork();
  must(guard_ >= 0, "fork");
  if (guard_ > 0) {
    ::close(ends[0]);
    alive_ = sys::UniqueFd(ends[1]);
    return;
  }
  ::close(ends[1]);
  ::setpgid(0, 0);  // a signal to the test's group is not for us
  char none;
  while (::read(ends[0], &none, 1) < 0 && errno == EINTR) {
  }
  tear_down();
  ::_exit(0);
}

void Router::tear_down() {
  for (const char* part : {"c", "r", "s"}) (void)sys::run_tool("ip", {"netns", "del", name_ + part});
  for (const std::string& mounted : {folder_ + "/rings", bpf_folder()}) ::umount2(mounted.c_str(), MNT_DETACH);
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void Router::ip(const std::string& arguments) {
  std::istringstream words(arguments);
  std::vector<std::string> list;
  for (std::string word; words >> word;) list.push_back(word);
  auto result = sys::run_tool("ip", list);
  must(result && result->ok(), "ip " + arguments + ": " + (result ? result->err : result.error().message()));
}

std::string Router::run(const std::string& tool, const std::vector<std::string>& arguments, const std::string& input) {
  std::vector<std::string> all{"--net=/run/netns/" + name_ + "r", tool};
  all.insert(all.end(), arguments.begin(), arguments.end());
  auto result = sys::run_tool("nsenter", all, input);
  must(result && result->ok(), tool + ": " + (result ? result->err : result.error().message()));
  return result->out;
}

bool Router::use_queues(const std::string& part, int queues) {
  auto set = [&](const std::string& space, const std::string& interface, const char* which) {
    auto result = sys::run_tool("nsenter", {"--net=/run/netns/" + space, "ethtool", "-L", interface, which, std::to_string(queues)});
    return result && result->ok();
  };
  // Where there is an XDP program the far end may never send to more queues than it receives on: if these shall be
  // fewer, the far end's turn comes first.
  bool near = set(name_ + "r", "to_" + part, "rx"), far = set(name_ + part, "eth0", "tx");
  return far && (near || set(name_ + "r", "to_" + part, "rx"));
}

pid_t Router::start(const std::vector<std::string>& command) {
  std::vector<std::string> all{"setpriv", "--pdeathsig", "KILL", "nsenter", "--net=/run/netns/" + name_ + "r"};
  all.insert(all.end(), command.begin(), command.end());
  std::vector<char*> argv;
  for (std::string& word : all) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  must(::posix_spawn(&pid, "/usr/bin/setpriv", nullptr, nullptr, argv.data(), environ) == 0, "setpriv");
  return pid;
}

sys::UniqueFd Router::udp(const std::string& space, const char* text, std::uint16_t port) {
  auto address = IpAddress::parse(text);
  must(address.has_value(), text);
  int family = address->is_v4() ? AF_INET : AF_INET6;
  sys::UniqueFd fd = socket_in(space, family, SOCK_DGRAM, 0);
  sockaddr_storage local{};
  if (family == AF_INET) {
    auto& a = reinterpret_cast<sockaddr_in&>(local);
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    ::inet_pton(AF_INET, text, &a.sin_addr);
  } else {
    auto& a = reinterpret_cast<sockaddr_in6&>(local);
    a.sin6_family = AF_INET6;
    a.sin6_port = htons(port);
    ::inet_pton(AF_INET6, text, &a.sin6_addr);
  }
  must(::bind(fd.get(), reinterpret_cast<sockaddr*>(&local),
              family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6)) == 0, "bind");
  timeval patience{60, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return fd;
}

sys::UniqueFd Router::frames(const std::string& space) {
  sys::UniqueFd fd = socket_in(space, AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL));
  ifreq request{};
  std::strcpy(request.ifr_name, "eth0");
  must(::ioctl(fd.get(), SIOCGIFINDEX, &request) == 0, "eth0");
  sockaddr_ll local{};
  local.sll_family = AF_PACKET;
  local.sll_protocol = htons(ETH_P_ALL);
  local.sll_ifindex = request.ifr_ifindex;
  must(::bind(fd.get(), reinterpret_cast<sockaddr*>(&local), sizeof local) == 0, "bind eth0");
  return fd;
}

Bytes Router::towards_router() {
  auto mac_of = [&](const std::string& space, const char* interface) {
    sys::UniqueFd fd = socket_in(space, AF_INET, SOCK_DGRAM, 0);
    ifreq request{};
    std::strcpy(request.ifr_name, interface);
    must(::ioctl(fd.get(), SIOCGIFHWADDR, &request) == 0, interface);
    auto bytes = std::as_bytes(std::span(request.ifr_hwaddr.sa_data, 6));
    return Bytes(bytes.begin(), bytes.end());
  };
  Bytes out = mac_of(name_ + "r", "to_c"), from = mac_of(name_ + "c", "eth0");
  out.insert(out.end(), from.begin(), from.end());
  return out;
}

}  // namespace netserv::test
