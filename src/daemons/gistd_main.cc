// gistd: a generic GIST daemon (RFC 5971). Two processes: this one opens the sockets, then keeps the netfilter queue
// with CAP_NET_ADMIN and looks into no packet; its child speaks GIST, as an ordinary user without any right.
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <span>
#include <string>

#include "base/log.h"
#include "daemons/gistd_options.h"
#include "daemons/gistd_orders.h"
#include "daemons/gistd_service.h"
#include "sandbox/identity.h"
#include "sandbox/limits.h"
#include "sandbox/paths.h"
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

struct Arguments {
  int count;
  char** values;
};

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
    NETSERV_ASSIGN(const transport::TlsTexts texts, transport::read_tls_files(o.tls_files));
    NETSERV_ASSIGN(parts.tls, transport::make_tls_context(texts, o.tls_files));
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

// A kernel without Landlock keeps the rest.
Status confine_paths(std::span<const sandbox::PathRule> rules) {
  if (sandbox::landlock_version() > 0) return sandbox::restrict_paths(rules);
  log_warning({.name = "gistd"}, "this kernel has no Landlock: files are not confined");
  return {};
}

// The speaker has all its sockets and files, but for connections to peers. A user id of its own would not keep it from
// what everyone may read, start or connect to.
Status give_up_rights(sandbox::Identity identity) {
  NETSERV_TRY(sandbox::apply_limits({}));  // no core dump: TLS keys are in here
  NETSERV_TRY(sandbox::drop_to(identity));
  NETSERV_TRY(sandbox::no_new_privileges());
  NETSERV_TRY(confine_paths({}));
  constexpr std::array<std::string_view, 9> kNeverNeeded{"bind",  "execve", "execveat", "fork",  "listen",
                                                         "socketpair", "truncate", "vfork",  "clone"};
  const std::array<std::span<const std::string_view>, 2> lists{sandbox::dangerous_calls(), kNeverNeeded};
  NETSERV_TRY(sandbox::refuse_calls(lists));
  return sandbox::die_with_parent();
}

// The keeper has two capabilities, and at the end runs iptables once more.
Status keep_rights(const GistdOptions& o) {
  NETSERV_TRY(sys::keep_capabilities({CAP_NET_ADMIN, CAP_NET_RAW}));
  const std::string folder = std::filesystem::path(o.socket).parent_path();
  using sandbox::PathAccess;
  const std::array<sandbox::PathRule, 4> rules{{{"/", PathAccess::kReadExecute},
                                                {"/run", PathAccess::kReadWrite},  // xtables.lock
                                                {"/dev/null", PathAccess::kReadWrite},
                                                {folder, PathAccess::kReadWrite}}};
  NETSERV_TRY(confine_paths(rules));
  const std::array lists{sandbox::dangerous_calls()};
  return sandbox::refuse_calls(lists);
}

// The child. Everything after this reads strangers' bytes.
int speak(const GistdOptions& o, GistdParts parts, sandbox::Identity identity) {
  if (Status gave = give_up_rights(identity); !gave) return report(gave.error());
  // The keeper says when interception is in place.
  pollfd go{parts.keeper.fd(), POLLIN, 0};
  sys::Datagram message;
  while (::poll(&go, 1, -1) < 0 && errno == EINTR) continue;
  const auto got = parts.keeper.receive(message, 1);
  if (!got || *got != sys::Channel::Received::kMessage) return 1;

  sys::EventLoop loop;
  GistdService service(loop, o.settings, std::move(parts));
  const auto stop = [&] { service.shut_down([&] { loop.stop(); }); };
  auto on_term = loop.on_signal(SIGTERM, stop);
  auto on_int = loop.on_signal(SIGINT, stop);
  log_info({.name = "gistd"}, "listening on {}", o.socket);
  return loop.run();
}

// Null without interception by filter.
Result<std::unique_ptr<plane::NfQueue>> intercept(const transport::InterceptOptions& filter) {
  if (!filter.any()) return std::unique_ptr<plane::NfQueue>();
  NETSERV_ASSIGN(std::unique_ptr<plane::NfQueue> queue, plane::NfQueue::open(filter.queue));
  NETSERV_TRY(transport::clean_gist_rules());
  if (const Status placed = transport::place_gist_rules(filter); !placed) {
    (void)transport::clean_gist_rules();
    return fail(placed.error());
  }
  return queue;
}

// SIGHUP: the authorised peers are taken up again from the command line's files, if all that is there makes sense, and
// what the PEM files say now, if that does.
class Reload {
 public:
  Reload(const GistdOptions& options, sys::Channel orders, Arguments arguments)
      : rest_(options.rest), tls_files_(options.tls_files), orders_(std::move(orders)), arguments_(arguments) {}

  void operator()() {
    int code = 0;
    const auto read = read_gistd_options(arguments_.count, arguments_.values, code);
    if (!read) return log_error({.name = "gistd"}, "reload: the configuration is wrong, all stays as it was");
    if (read->rest != rest_)
      log_warning({.name = "gistd"}, "reload: only peers and what is in the PEM files are taken up; other options need a restart");
    const Bytes order = ipc::encode(Orders(Order{read->peers, read_tls()}));
    if (order.size() > kMaxOrder) return log_error({.name = "gistd"}, "reload: too many peers");
    if (const Status sent = orders_.send(order); !sent) log_error({.name = "gistd"}, "reload: {}", sent.error().message());
  }

 private:
  // Empty without TLS, and if it would not work.
  std::optional<transport::TlsTexts> read_tls() const {
    if (tls_files_.certificate.empty()) return std::nullopt;
    auto texts = transport::read_tls_files(tls_files_);
    const Status fit = texts ? fits(*texts) : Status(fail(texts.error()));
    if (fit) return *std::move(texts);
    log_error({.name = "gistd"}, "reload: {}; certificate, key and authorities stay as they were", fit.error().message());
    return std::nullopt;
  }
  Status fits(const transport::TlsTexts& texts) const {
    const auto context = transport::make_tls_context(texts, tls_files_);
    return context ? Status() : Status(fail(context.error()));
  }

  std::string rest_;
  transport::TlsFiles tls_files_;
  sys::Channel orders_;
  Arguments arguments_;
};

// The parent, once the child is on its own: so that has never had the queue.
int keep(const GistdOptions& o, sys::Channel reader, sys::Channel orders, Arguments arguments, pid_t child) {
  if (Status kept = keep_rights(o); !kept) return report(kept.error());
  auto queue = intercept(o.filter);
  if (!queue) return report(queue.error());
  if (const Status told = reader.send(Bytes(1)); !told) return report(told.error());
  sys::EventLoop loop;
  transport::QueueKeeper keeper(loop, *std::move(queue), std::move(reader));
  auto on_term = loop.on_signal(SIGTERM, [&] { keeper.close(); });
  auto on_int = loop.on_signal(SIGINT, [&] { keeper.close(); });
  Reload reload(o, std::move(orders), arguments);
  auto on_hup = loop.on_signal(SIGHUP, [&] { reload(); });
  auto ended = loop.on_child_exit(child, [&](int status) {
    if (WIFSIGNALED(status)) log_error({.name = "gistd"}, "speaker ended by signal {}", WTERMSIG(status));
    loop.stop(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
  });
  const int code = loop.run();
  if (o.filter.any())
    if (const Status cleaned = transport::clean_gist_rules(); !cleaned) return report(cleaned.error());
  return code;
}

int run(const GistdOptions& o, Arguments arguments) {
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
  auto orders = make_pair();
  if (!orders) return report(orders.error());
  parts->orders = std::move(orders->reader);
  // Not before there is somebody to take it: it would end a process that does not expect it.
  sigset_t hup;
  ::sigemptyset(&hup);
  ::sigaddset(&hup, SIGHUP);
  ::sigprocmask(SIG_BLOCK, &hup, nullptr);

  const pid_t child = ::fork();
  if (child < 0) return report(Error{Origin::kSystem, "gistd", "fork"});
  if (child == 0) {
    pair->reader.close();
    orders->keeper.close();
    return speak(o, *std::move(parts), *identity);
  }
  parts = fail(Origin::kSystem, "", "");  // the child's now
  const int code = keep(o, std::move(pair->reader), std::move(orders->keeper), arguments, child);
  ::unlink(o.socket.c_str());
  return code;
}

}  // namespace
}  // namespace netserv::daemons

int main(int argc, char** argv) {
  int code = 0;
  const auto options = netserv::daemons::read_gistd_options(argc, argv, code);
  return options ? netserv::daemons::run(*options, {argc, argv}) : code;
}
