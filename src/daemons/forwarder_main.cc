// netserv-forwarder: the only process that touches packets on the router's side. Needs CAP_NET_ADMIN and
// CAP_NET_RAW, and gives up all else before it listens to anyone.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "base/log.h"
#include "daemons/forwarder_service.h"
#include "plane/fake/idle_plane.h"
#include "plane/netfilter/netfilter_plane.h"
#include "plane/xdp/xdp_plane.h"
#include "sys/capabilities.h"
#include "sys/event_loop.h"

namespace netserv::daemons {
namespace {

struct Options {
  std::string socket, run_directory = "/run/netserv", ring_directory, plane = "auto", log_level = "info";
  unsigned queue = 8100, mark = 0x4e53, stall_ms = 50;
  bool clean = false, busy_poll = false;
  std::vector<std::string> interfaces;
};

int report(const Error& error) {
  log_error({.name = "forwarder"}, "{}", error.message());
  return 1;
}

LogLevel level_of(const std::string& name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warning") return LogLevel::kWarning;
  return name == "error" ? LogLevel::kError : LogLevel::kInfo;
}

Result<std::unique_ptr<plane::LivePlane>> make_plane(const Options& o, const plane::RuleOptions& rules) {
  if (o.plane == "fake") return std::make_unique<plane::IdlePlane>();
  if (o.plane == "xdp") {
    plane::XdpPlaneOptions xdp;
    xdp.interfaces = o.interfaces;
    xdp.busy_poll = o.busy_poll;
    xdp.mark = o.mark;
    NETSERV_ASSIGN(std::unique_ptr<plane::LivePlane> made, plane::XdpPlane::open(xdp));
    return made;
  }
  NETSERV_ASSIGN(std::unique_ptr<plane::LivePlane> made, plane::NetfilterPlane::create(rules));
  return made;
}

int run(const Options& o) {
  plane::RuleOptions rules{static_cast<std::uint16_t>(o.queue), o.mark, 256};
  if (o.clean) {
    Status cleaned = plane::Xtables(rules).clean();
    return cleaned ? 0 : report(cleaned.error());
  }
  sys::EventLoop loop;
  auto stop_on_term = loop.on_signal(SIGTERM, [&] { loop.stop(); });
  auto stop_on_int = loop.on_signal(SIGINT, [&] { loop.stop(); });
  std::vector<int> rights{CAP_NET_ADMIN, CAP_NET_RAW};
  // The XDP program; and packet memory shared with the kernel, which is locked.
  if (o.plane == "xdp") rights.insert(rights.end(), {CAP_BPF, CAP_PERFMON, CAP_IPC_LOCK});
  if (Status kept = sys::keep_capabilities(rights); !kept) return report(kept.error());
  auto plane = make_plane(o, rules);
  if (!plane) return report(plane.error());

  ForwarderOptions options;
  options.socket = o.socket.empty() ? o.run_directory + "/forwarder.sock" : o.socket;
  options.ring_directory = o.ring_directory.empty() ? o.run_directory + "/rings" : o.ring_directory;
  options.limits.stall = std::chrono::milliseconds(o.stall_ms);
  auto service = ForwarderService::start(loop, **plane, options);
  if (!service) return report(service.error());
  log_info({.name = "forwarder"}, "listening on {}, plane {} ({})", options.socket, (*plane)->name(),
           (*plane)->detail());
  int code = loop.run();
  (*service)->shut_down();
  return code;
}

}  // namespace
}  // namespace netserv::daemons

int main(int argc, char** argv) {
  netserv::daemons::Options o;
  CLI::App app{"Moves packets between the router's forwarding path and the containers"};
  app.set_config("--config", "", "Read options from this file (TOML, names as here without the dashes)");
  app.add_option("--run-dir", o.run_directory, "Folder of the socket and the rings")->capture_default_str();
  app.add_option("--socket", o.socket, "Control socket (RUN_DIR/forwarder.sock)");
  app.add_option("--ring-dir", o.ring_directory, "noexec tmpfs for packet rings (RUN_DIR/rings)");
  app.add_option("--plane", o.plane)->check(CLI::IsMember({"auto", "netfilter", "xdp", "fake"}))->capture_default_str();
  app.add_option("--interface", o.interfaces, "Interface of the xdp plane; give one for each");
  app.add_flag("--busy-poll", o.busy_poll, "xdp plane: the forwarder's own polls drive the interfaces");
  app.add_option("--queue", o.queue, "NFQUEUE number")->check(CLI::Range(0u, 65535u))->capture_default_str();
  app.add_option("--mark", o.mark, "Mark of packets that modules send")->capture_default_str();
  app.add_option("--stall-ms", o.stall_ms, "A container that owes answers this long is passed by")
      ->check(CLI::Range(1u, 60'000u))->capture_default_str();
  app.add_option("--log-level", o.log_level)->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  app.add_flag("--clean", o.clean, "Take away netfilter rules that a killed forwarder left behind, and exit");
  CLI11_PARSE(app, argc, argv);
  netserv::set_log_level(netserv::daemons::level_of(o.log_level));
  return netserv::daemons::run(o);
}
