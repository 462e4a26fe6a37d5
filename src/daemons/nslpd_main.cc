// nslpd: the NetServ NSLP. On a router it passes requests that come along a path to netservd; on any host it sends
// them for local programs. Needs no rights, and gives up those it has.
#include <grp.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <optional>

#include "base/log.h"
#include "daemons/log_option.h"
#include "daemons/nslpd/nslpd.h"
#include "sandbox/identity.h"
#include "sandbox/paths.h"
#include "sandbox/system_calls.h"
#include "sys/capabilities.h"
#include "wire/ncm/selection.h"

namespace netserv::daemons {
namespace {

struct Options {
  NslpdSettings settings;
  std::string run_directory = "/run/netserv", gist_socket, controller_socket, client_socket, name, address, user, group;
  std::string socket_mode = "0660";
  std::vector<std::string> behind_nat;
  unsigned nslp = nslp::kDefaultNslpId.value();
  unsigned last_node_ms = 4000;
  bool initiator = false, unsigned_path = false, check = false;
  std::optional<sandbox::Identity> identity;  // to take on; absent: the one it was started with
};

int report(const Error& error) {
  log_error({.name = "nslpd"}, "{}", error.message());
  return 1;
}

Result<std::vector<IpAddress>> local_addresses() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return fail_errno("interfaces", "read addresses", errno);
  std::vector<IpAddress> out;
  for (const ifaddrs* i = list; i != nullptr; i = i->ifa_next) {
    if (i->ifa_addr == nullptr) continue;
    if (i->ifa_addr->sa_family == AF_INET) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(i->ifa_addr);
      out.push_back(IpAddress::v4(ntohl(v4->sin_addr.s_addr)));
    } else if (i->ifa_addr->sa_family == AF_INET6) {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(i->ifa_addr);
      out.push_back(IpAddress::from_bytes({reinterpret_cast<const std::byte*>(&v6->sin6_addr), 16}));
    }
  }
  ::freeifaddrs(list);
  return out;
}

std::string host_name() {
  char name[ncm::kMaxNodeName + 1] = {};
  ::gethostname(name, sizeof name - 1);
  return ncm::is_node_name(name) ? name : "node";
}

// What response stacks call this node by, unless it is configured: an address that others can reach.
IpAddress choose_address(const std::vector<IpAddress>& all) {
  for (const IpAddress& a : all)
    if (!a.is_loopback() && !a.is_link_local()) return a;
  return {};
}

Result<std::optional<sandbox::Identity>> identity_of(const Options& o) {
  if (o.user.empty() && o.group.empty()) return std::nullopt;
  if (o.user.empty()) return fail(Origin::kOperator, "--group", "needs --user");
  const passwd* user = ::getpwnam(o.user.c_str());
  if (user == nullptr) return fail(Origin::kOperator, o.user, "no such user");
  sandbox::Identity identity{user->pw_uid, user->pw_gid};
  if (o.group.empty()) return identity;
  const struct group* group = ::getgrnam(o.group.c_str());
  if (group == nullptr) return fail(Origin::kOperator, o.group, "no such group");
  identity.gid = group->gr_gid;
  return identity;
}

// What is left: the sockets that it has, and connecting to gistd's and netservd's.
Status give_up_rights(const Options& o) {
  if (o.identity) NETSERV_TRY(sandbox::drop_to(*o.identity));
  if (!o.identity) NETSERV_TRY(sys::keep_capabilities({}));
  NETSERV_TRY(sandbox::no_new_privileges());
  if (sandbox::landlock_version() > 0) NETSERV_TRY(sandbox::restrict_paths({}));
  else log_warning({.name = "nslpd"}, "this kernel has no Landlock: files are kept from it by their modes alone");
  constexpr std::array<std::string_view, 2> kPrograms{"execve", "execveat"};
  const std::array<std::span<const std::string_view>, 2> lists{sandbox::dangerous_calls(), kPrograms};
  return sandbox::refuse_calls(lists);
}

Status complete(Options& o) {
  NETSERV_ASSIGN(o.identity, identity_of(o));
  NslpdSettings& s = o.settings;
  auto socket = [&](const std::string& given, const char* name) { return given.empty() ? o.run_directory + "/" + name : given; };
  s.gist_socket = socket(o.gist_socket, "gistd.sock");
  s.controller_socket = socket(o.controller_socket, "ncm.sock");
  s.client_socket = socket(o.client_socket, "nslp.sock");
  s.client_mode = static_cast<unsigned>(std::stoul(o.socket_mode, nullptr, 8));
  s.core.nslp = gist::NslpId(static_cast<std::uint16_t>(o.nslp));
  s.core.hosts_modules = !o.initiator;
  s.core.require_toward = !o.unsigned_path;
  s.core.last_node_timeout = std::chrono::milliseconds(o.last_node_ms);
  s.core.node = o.name.empty() ? host_name() : o.name;
  if (!ncm::is_node_name(s.core.node)) return fail(Origin::kOperator, "--name", "must be letters, digits, '.', '-', '_' and ':'");
  NETSERV_ASSIGN(s.core.local, local_addresses());
  s.core.address = choose_address(s.core.local);
  for (const std::string& text : o.behind_nat) {
    NETSERV_ASSIGN(IpAddress outside, IpAddress::parse(text));
    s.core.outside.push_back(outside);
  }
  if (!o.address.empty()) {
    NETSERV_ASSIGN(s.core.address, IpAddress::parse(o.address));
    s.core.local.push_back(s.core.address);
  }
  return {};
}

int run(Options& o) {
  if (Status completed = complete(o); !completed) return report(completed.error());
  if (o.check) return 0;
  sys::EventLoop loop;
  auto stop_on_term = loop.on_signal(SIGTERM, [&] { loop.stop(); });
  auto stop_on_int = loop.on_signal(SIGINT, [&] { loop.stop(); });
  auto nslpd = Nslpd::start(loop, o.settings);
  if (!nslpd) return report(nslpd.error());
  if (Status gave = give_up_rights(o); !gave) return report(gave.error());
  log_info({.name = "nslpd"}, "listening on {}, node {} ({})", o.settings.client_socket, o.settings.core.node,
           o.settings.core.address.to_string());
  return loop.run();
}

}  // namespace
}  // namespace netserv::daemons

int main(int argc, char** argv) {
  netserv::daemons::Options o;
  CLI::App app{"The NetServ signalling application: requests along a path, from and for local programs"};
  app.set_config("--config", "", "Read options from this file (TOML, names as here without the dashes)");
  app.add_option("--run-dir", o.run_directory, "Folder of the sockets")->capture_default_str();
  app.add_option("--gist-socket", o.gist_socket, "gistd's API socket (RUN_DIR/gistd.sock)");
  app.add_option("--node-socket", o.controller_socket, "netservd's NCM socket (RUN_DIR/ncm.sock)");
  app.add_option("--socket", o.client_socket, "Socket for local programs (RUN_DIR/nslp.sock)");
  app.add_option("--socket-mode", o.socket_mode, "Its file mode")
      ->check([](const std::string& m) { return m.find_first_not_of("01234567") == std::string::npos && !m.empty() && m.size() < 6 ? "" : "not octal"; })
      ->capture_default_str();
  app.add_option("--user", o.user, "Whom to run as once that socket is there (default: who starts it, without capabilities)");
  app.add_option("--group", o.group, "With which group (default: the user's own); gistd's and netservd's sockets must be open to it");
  app.add_option("--name", o.name, "This node's name in answers (default: the host's name)");
  app.add_option("--address", o.address, "Its address there (default: the first that is neither loopback nor link-local)");
  app.add_option("--nslpid", o.nslp, "NSLPID; the same on all nodes of a network")->check(CLI::Range(1u, 65535u))->capture_default_str();
  app.add_flag("--initiator", o.initiator, "No netservd here: only send for local programs, take part in no other paths");
  app.add_flag("--no-toward", o.unsigned_path, "Accept signed requests that don't name their path's destination");
  app.add_option("--behind-nat", o.behind_nat,
                 "Address of a NAT that this node is behind: requests may say that they go toward it; may be repeated");
  app.add_option("--last-node-ms", o.last_node_ms, "Nobody answered for so long: this node is the last")
      ->check(CLI::Range(100u, 60'000u))->capture_default_str();
  netserv::daemons::add_log_level(app);
  app.add_flag("--check", o.check, "Check the options and exit");
  CLI11_PARSE(app, argc, argv);
  return netserv::daemons::run(o);
}
