// netservd: the controller of a NetServ node.
#include <signal.h>
#include <unistd.h>

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/log.h"
#include "config/config.h"
#include "daemons/netservd/journal_sink.h"
#include "daemons/netservd/netservd.h"
#include "daemons/netservd/settings.h"
#include "plane/choice/probe.h"

namespace {

std::string own_folder() {
  char path[4096];
  ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
  std::string self(path, n > 0 ? static_cast<std::size_t>(n) : 0);
  return self.substr(0, self.rfind('/'));
}

// Before the metrics server starts its threads: the event loop reads these signals, no thread may take them.
void block_event_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int number : {SIGHUP, SIGINT, SIGTERM, SIGCHLD}) sigaddset(&signals, number);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
}

// Which plane a forwarder started here and now would take; of another machine's file it can't be told.
std::string plane_here(const netserv::config::Config& config) {
  using namespace netserv;
  plane::PlaneWish wish{*plane::plane_named(config.forwarder.plane), config.forwarder.interfaces, config.forwarder.bypass};
  auto choice = plane::choose_plane(wish, plane::probe_host());
  if (!choice) return fmt::format("plane {}: not on this machine: {}", config.forwarder.plane, choice.error().message());
  std::string_view names = plane::to_string(choice->plane);
  return choice->interfaces.empty() ? fmt::format("plane {}: {}", names, choice->reason)
                                    : fmt::format("plane {} on {}: {}", names, fmt::join(choice->interfaces, ", "), choice->reason);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace netserv;
  std::string path = "/etc/netserv/netservd.toml", check;
  bool print = false;
  CLI::App app("The controller of a NetServ node");
  app.add_option("--config,-c", path, "configuration file")->capture_default_str();
  app.add_option("--check-config", check, "check this configuration file and exit");
  app.add_flag("--print", print, "with --check-config: print it with all defaults");
  app.set_version_flag("--version", NETSERV_VERSION);
  CLI11_PARSE(app, argc, argv);

  auto config = config::load(check.empty() ? path : check);
  if (config) {
    if (auto keys = daemon::policies(*config); !keys) config = tl::unexpected<Error>(keys.error());
    else if (Status blocks = daemon::check_blocks(*config); !blocks) config = tl::unexpected<Error>(blocks.error());
  }
  if (!config) {
    std::fprintf(stderr, "%s\n", config.error().message().c_str());
    return 2;
  }
  if (!check.empty()) {
    if (print) std::fputs(config::print(*config).c_str(), stdout);
    std::printf("# %s\n", plane_here(*config).c_str());
    return 0;
  }

  ::signal(SIGPIPE, SIG_IGN);
  block_event_signals();
  daemon::log_to_journal_if_there_is_one();
  set_log_level(config->log_level);
  std::string programs = config->node.program_folder.empty() ? own_folder() : config->node.program_folder;
  sys::EventLoop loop;
  daemon::Netservd netservd(loop, std::move(*config), path, programs);
  if (Status started = netservd.start(); !started) {
    log_error({.name = "netservd"}, "{}", started.error().message());
    return 1;
  }
  auto on_hup = loop.on_signal(SIGHUP, [&] { netservd.reload(); });
  auto on_term = loop.on_signal(SIGTERM, [&] { loop.stop(0); });
  auto on_int = loop.on_signal(SIGINT, [&] { loop.stop(0); });
  log_info({.name = "netservd"}, "listens on {}", netservd.config().ncm_socket());
  return loop.run();
}
