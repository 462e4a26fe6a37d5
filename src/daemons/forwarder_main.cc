// netserv-forwarder: the only process that touches packets on the router's side. Needs CAP_NET_ADMIN and
// CAP_NET_RAW, and gives up all else before it listens to anyone.
#include <signal.h>
#include <sys/capability.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/log.h"
#include "daemons/log_option.h"
#include "config/config.h"
#include "daemons/forwarder_plane.h"
#include "daemons/forwarder_service.h"
#include "plane/fake/idle_plane.h"
#include "plane/netfilter/xtables.h"
#include "ring/layout.h"
#include "sys/capabilities.h"
#include "sys/event_loop.h"
#include "sys/file_lock.h"

namespace netserv::daemons {
namespace {

struct Options {
  std::string config, socket, run_directory = "/run/netserv", ring_directory, bpf_directory = "/sys/fs/bpf", plane = "auto";
  unsigned queue = 8100, mark = 0x4e53, stall_ms = 50, heartbeat_ms = 100, workers = 1;
  std::optional<unsigned> gather_us;  // or the plane's own
  std::vector<unsigned> worker_cores;
  bool clean = false, busy_poll = false, bypass = false;
  std::vector<std::string> interfaces;
};

int report(const Error& error) {
  log_error({.name = "forwarder"}, "{}", error.message());
  return 1;
}

// What makes no sense whatever the router has.
Status check_workers(const Options& o) {
  if (!o.worker_cores.empty() && o.worker_cores.size() != o.workers)
    return fail(Origin::kOperator, "--worker-cores", "must name a core for each worker");
  if (o.queue + 2 * o.workers - 1 > 0xffff)
    return fail(Origin::kOperator, "--queue", "leaves no numbers for all queues: each worker has two");
  if (unsigned cores = std::thread::hardware_concurrency(); cores != 0 && o.workers > cores)
    log_warning({.name = "forwarder"}, "{} workers on {} cores: they will keep each other waiting", o.workers, cores);
  return {};
}

// What the command line does not say, the node's configuration does.
Status read_config(const CLI::App& said, Options& o) {
  NETSERV_ASSIGN(config::Config c, config::load(o.config));
  auto take = [&](const char* option, auto& ours, auto theirs) {
    if (said.count(option) == 0) ours = std::move(theirs);
  };
  take("--run-dir", o.run_directory, c.node.run_folder);
  take("--socket", o.socket, c.forwarder_socket());
  take("--plane", o.plane, c.forwarder.plane);
  take("--interface", o.interfaces, c.forwarder.interfaces);
  take("--bypass", o.bypass, c.forwarder.bypass);
  take("--busy-poll", o.busy_poll, c.forwarder.busy_poll);
  take("--workers", o.workers, c.forwarder.workers);
  take("--worker-cores", o.worker_cores, c.forwarder.worker_cores);
  if (said.count("--log-level") == 0) set_log_level(c.log_level);
  return {};
}

Result<OpenedPlane> make_plane(const Options& o, const plane::RuleOptions& rules, const plane::KeepWhere& keep) {
  if (o.plane == "fake") {
    NETSERV_TRY(sys::keep_capabilities({CAP_NET_ADMIN}));
    return OpenedPlane{std::make_unique<plane::IdlePlane>(o.workers), "configured"};
  }
  NETSERV_ASSIGN(plane::PlaneKind wanted, plane::plane_named(o.plane));
  return open_plane({{wanted, o.interfaces, o.bypass}, rules, o.workers, o.busy_poll, std::chrono::milliseconds(o.heartbeat_ms), keep});
}

int run(const Options& o) {
  plane::RuleOptions rules{static_cast<std::uint16_t>(o.queue), o.mark, 256, static_cast<std::uint16_t>(o.workers)};
  const plane::KeepWhere keep{o.bpf_directory, o.run_directory};
  const std::string socket = o.socket.empty() ? o.run_directory + "/forwarder.sock" : o.socket;
  auto alone = sys::try_lock_file(socket + ".lock");  // before anything is touched that may be another's
  if (alone && !*alone) return report({Origin::kOperator, socket, "another forwarder listens there; end it first"});
  if (o.clean) {
    plane::KeptLinks(keep).release();
    Status cleaned = plane::Xtables(rules).clean();
    return cleaned ? 0 : report(cleaned.error());
  }
  if (!alone) return report(alone.error());
  if (Status sensible = check_workers(o); !sensible) return report(sensible.error());
  sys::EventLoop loop;
  auto stop_on_term = loop.on_signal(SIGTERM, [&] { loop.stop(); });
  auto stop_on_int = loop.on_signal(SIGINT, [&] { loop.stop(); });
  auto opened = make_plane(o, rules, keep);
  if (!opened) return report(opened.error());
  plane::LivePlane& plane = *opened->plane;

  ForwarderOptions options;
  options.socket = socket;
  options.ring_directory = o.ring_directory.empty() ? o.run_directory + "/rings" : o.ring_directory;
  options.crew.cores = o.worker_cores;
  options.crew.limits.stall = std::chrono::milliseconds(o.stall_ms);
  options.crew.gather = o.gather_us ? std::chrono::microseconds(*o.gather_us) : plane.gather();
  options.plane_reason = opened->reason;
  auto service = ForwarderService::start(loop, plane, options);
  if (!service) return report(service.error());
  log_info({.name = "forwarder"}, "plane {} ({}): {}", plane.name(), plane.detail(), opened->reason);
  log_info({.name = "forwarder"}, "listening on {}", options.socket);
  int code = loop.run();
  (*service)->shut_down();
  std::uint64_t missing = 0;
  for (std::size_t i = 0; i < plane.parts(); ++i) {
    auto counters = plane.part(i).counters();
    missing += counters["xdp_frames_missing"] + counters["xdp_frames_held"];
  }
  if (missing > 0) {
    log_error({.name = "forwarder"}, "{} frames of packet memory are nowhere", missing);
    return 3;
  }
  return code;
}

}  // namespace
}  // namespace netserv::daemons

int main(int argc, char** argv) {
  netserv::daemons::Options o;
  CLI::App app{"Moves packets between the router's forwarding path and the containers"};
  app.add_option("--config,-c", o.config, "The node's configuration, netservd.toml(5); options given here go before it");
  app.add_option("--run-dir", o.run_directory, "Folder of the socket and the rings")->capture_default_str();
  app.add_option("--socket", o.socket, "Control socket (RUN_DIR/forwarder.sock)");
  app.add_option("--ring-dir", o.ring_directory, "noexec tmpfs for packet rings (RUN_DIR/rings)");
  app.add_option("--bpf-dir", o.bpf_directory, "BPF file system by which fail-closed outlives an xdp plane's forwarder")->capture_default_str();
  app.add_option("--plane", o.plane)->check(CLI::IsMember({"auto", "netfilter", "xdp", "fake"}))->capture_default_str();
  app.add_option("--interface", o.interfaces, "Interface of the xdp plane, one for each (all that packets are routed by)");
  app.add_flag("--bypass", o.bypass, "auto may take xdp past firewall, NAT and qdiscs");
  app.add_flag("--busy-poll", o.busy_poll, "xdp plane: the forwarder's own polls drive the interfaces");
  app.add_option("--workers", o.workers, "Threads that move packets, each with receive queues of its own")
      ->check(CLI::Range(1u, netserv::ring::kMostParts))->capture_default_str();
  app.add_option("--worker-cores", o.worker_cores, "The core of each worker's thread, separated by commas")->delimiter(',');
  app.add_option("--queue", o.queue, "NFQUEUE number, the first worker's; two for each worker")->check(CLI::Range(0u, 65535u))->capture_default_str();
  app.add_option("--mark", o.mark, "Mark of packets that modules send")->capture_default_str();
  app.add_option("--stall-ms", o.stall_ms, "A container that owes answers this long is passed by")
      ->check(CLI::Range(1u, 60'000u))->capture_default_str();
  app.add_option("--heartbeat-ms", o.heartbeat_ms, "xdp plane: a forwarder that shows no sign of life this long is passed by")
      ->check(CLI::Range(100u, 60'000u))->capture_default_str();  // one is written every 40 ms
  app.add_option("--gather-us", o.gather_us, "Under load, from the end of one batch of packets to the next (xdp 150, netfilter 0)")
      ->check(CLI::Range(0u, 10'000u));
  netserv::daemons::add_log_level(app);
  app.add_flag("--clean", o.clean, "Take away rules and XDP programs that a killed forwarder left behind, and exit");
  CLI11_PARSE(app, argc, argv);
  if (!o.config.empty()) {
    if (auto read = netserv::daemons::read_config(app, o); !read) {
      std::fprintf(stderr, "%s\n", read.error().message().c_str());
      return 2;
    }
  }
  return netserv::daemons::run(o);
}
