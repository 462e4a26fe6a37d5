// gistd: a generic GIST daemon (RFC 5971). Two processes: this one opens everything, then keeps the netfilter queue
// with CAP_NET_ADMIN and looks into no packet; its child speaks GIST, as an ordinary user without any right.
#include <arpa/inet.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>

#include "base/log.h"
#include "daemons/gistd_options.h"
#include "daemons/gistd_service.h"
#include "sandbox/identity.h"
#include "sandbox/system_calls.h"
#include "sys/capabilities.h"
#include "transport/intercept_rules.h"

namespace netserv::daemons {
namespace {

int report(const Error& error) {
  log_error({.name = "gistd"}, "{}", error.message());
  return 1;
}

Result<sandbox::Identity> identity_of(const std::string& user) {
  const passwd* entry = ::getpwnam(user.c_str());
  if (entry == nullptr) return fail(Origin::kOperator, user, "no such user");
  return sandbox::Identity{entry->pw_uid, entry->pw_gid};
}

struct Pair {
  sys::Channel keeper, reader;
};
Result<Pair> make_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
    return fail_errno("gistd", "socket pair", errno);
  const int bytes = 16 << 20;
  for (int fd : fds) ::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
  return Pair{sys::Channel(sys::UniqueFd(fds[0])), sys::Channel(sys::UniqueFd(fds[1]))};
}

Result<GistdParts> open_parts(const GistdOptions& o) {
  GistdParts parts;
  NETSERV_ASSIGN(parts.network, transport::IpNetwork::open({o.ingress_check}));
  NETSERV_ASSIGN(parts.datagrams, transport::DatagramSockets::open(gist::kUdpPort));
  std::vector<std::uint16_t> alerts{o.settings.default_router_alert};
  for (const auto& [nslp, value] : o.settings.router_alert) alerts.push_back(value);
  if (!o.router_alert_interfaces.empty()) {
    NETSERV_ASSIGN(parts.router_alert, transport::RouterAlert::open(o.router_alert_interfaces, alerts));
  }
  if (o.tls()) {
    NETSERV_ASSIGN(parts.tls, transport::make_tls_context(o.tls_files));
  }
  if (o.settings.core.tcp_port != 0) {
    NETSERV_ASSIGN(parts.tcp_listener, transport::listen_tcp(o.settings.core.tcp_port));
  }
  if (o.settings.core.tls_port != 0) {
    NETSERV_ASSIGN(parts.tls_listener, transport::listen_tcp(o.settings.core.tls_port));
  }
  NETSERV_ASSIGN(parts.api_listener, sys::listen_seqpacket(o.socket, o.socket_mode));
  return parts;
}

Status give_up_rights(sandbox::Identity identity) {
  NETSERV_TRY(sandbox::drop_to(identity));
  NETSERV_TRY(sandbox::no_new_privileges());
  const std::array lists{sandbox::dangerous_calls()};
  NETSERV_TRY(sandbox::refuse_calls(lists));
  return sandbox::die_with_parent();
}

// The child. Everything after this reads strangers' bytes.
int speak(const GistdOptions& o, GistdParts parts, sandbox::Identity identity) {
  if (Status gave = give_up_rights(identity); !gave) return report(gave.error());
  sys::EventLoop loop;
  GistdService service(loop, o.settings, std::move(parts));
  const auto stop = [&] { service.shut_down([&] { loop.stop(); }); };
  auto on_term = loop.on_signal(SIGTERM, stop);
  auto on_int = loop.on_signal(SIGINT, stop);
  log_info({.name = "gistd"}, "listening on {}", o.socket);
  return loop.run();
}

int keep(std::unique_ptr<plane::NfQueue> queue, sys::Channel reader, pid_t child) {
  if (Status kept = sys::keep_capabilities({CAP_NET_ADMIN, CAP_NET_RAW}); !kept) return report(kept.error());
  sys::EventLoop loop;
  transport::QueueKeeper keeper(loop, std::move(queue), std::move(reader));
  auto on_term = loop.on_signal(SIGTERM, [&] { keeper.close(); });
  auto on_int = loop.on_signal(SIGINT, [&] { keeper.close(); });
  auto ended = loop.on_child_exit(child, [&](int status) {
    if (WIFSIGNALED(status)) log_error({.name = "gistd"}, "speaker ended by signal {}", WTERMSIG(status));
    loop.stop(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
  });
  return loop.run();
}

int run(const GistdOptions& o) {
  if (o.clean) {
    const Status cleaned = transport::clean_gist_rules();
    return cleaned ? 0 : report(cleaned.error());
  }
  const auto identity = identity_of(o.user);
  if (!identity) return report(identity.error());
  auto parts = open_parts(o);
  if (!parts) return report(parts.error());
  auto pair = make_pair();
  if (!pair) return report(pair.error());
  parts->keeper = std::move(pair->keeper);

  std::unique_ptr<plane::NfQueue> queue;
  if (o.filter.any()) {
    auto opened = plane::NfQueue::open(o.filter.queue);
    if (!opened) return report(opened.error());
    queue = *std::move(opened);
    Status placed = transport::clean_gist_rules();
    if (placed) placed = transport::place_gist_rules(o.filter);
    if (!placed) {
      (void)transport::clean_gist_rules();
      return report(placed.error());
    }
  }

  const pid_t child = ::fork();
  if (child < 0) return report(Error{Origin::kSystem, "gistd", "fork"});
  if (child == 0) {
    queue.reset();
    pair->reader.close();
    return speak(o, *std::move(parts), *identity);
  }
  parts = fail(Origin::kSystem, "", "");  // the child's now
  const bool ruled = queue != nullptr;
  const int code = keep(std::move(queue), std::move(pair->reader), child);
  ::unlink(o.socket.c_str());
  if (ruled)
    if (const Status cleaned = transport::clean_gist_rules(); !cleaned) return report(cleaned.error());
  return code;
}

}  // namespace
}  // namespace netserv::daemons

int main(int argc, char** argv) {
  int code = 0;
  const auto options = netserv::daemons::read_gistd_options(argc, argv, code);
  return options ? netserv::daemons::run(*options) : code;
}
