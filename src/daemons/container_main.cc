// netserv-container: process 1 of a service container. Lean on purpose; everything it may do is decided by
// netserv-launch before it starts and by its own seccomp filter after.
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/log.h"
#include "container/container.h"
#include "container/seccomp_policy.h"
#include "runtime/wasm/wasm_runtime.h"
#include "sys/fd.h"

namespace {

using namespace netserv;

volatile std::sig_atomic_t g_stop = 0;
void request_stop(int) { g_stop = 1; }

// One arena, freed pages given back: private memory is what a container costs the node.
void keep_memory_small() {
  ::mallopt(M_ARENA_MAX, 1);
  ::mallopt(M_TRIM_THRESHOLD, 64 * 1024);
  ::mallopt(M_TOP_PAD, 16 * 1024);
  ::mallopt(M_MMAP_THRESHOLD, 64 * 1024);
}

// SIGTERM and SIGINT end the loop, and arrive only while it sleeps. Returns the mask to sleep with.
sigset_t prepare_signals() {
  struct sigaction action {};
  action.sa_handler = request_stop;
  sigset_t stops, before;
  sigemptyset(&stops);
  for (int number : {SIGTERM, SIGINT}) {
    ::sigaction(number, &action, nullptr);
    sigaddset(&stops, number);
  }
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a full log is no reason to die
  sigprocmask(SIG_BLOCK, &stops, &before);
  for (int number : {SIGTERM, SIGINT}) sigdelset(&before, number);
  return before;
}

// Standard error goes to the log; its length is bounded by RLIMIT_FSIZE.
bool open_log(const char* path) {
  sys::UniqueFd fd(::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
  return fd && ::dup2(fd.get(), 2) == 2;
}

int usage() {
  std::fputs("usage: netserv-container [--control PATH] [--modules FOLDER] [--peer-uid N] [--spin-us N] [--log FILE]\n", stderr);
  return 2;
}

int run(const container::ContainerOptions& options) {
  keep_memory_small();
  sigset_t while_asleep = prepare_signals();
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);

  auto runtime = runtime::make_wasm_runtime();
  if (!runtime) return log_error({}, "{}", runtime.error().message()), 1;
  auto container = container::Container::make(options, **runtime);
  if (!container) return log_error({}, "{}", container.error().message()), 1;
  if (auto confined = container::confine_this_process(); !confined)
    return log_error({}, "{}", confined.error().message()), 1;
  ::malloc_trim(0);
  (*container)->run(g_stop, while_asleep);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  container::ContainerOptions options;
  const option known[] = {{"control", required_argument, nullptr, 'c'},
                          {"modules", required_argument, nullptr, 'm'},
                          {"peer-uid", required_argument, nullptr, 'p'},
                          {"spin-us", required_argument, nullptr, 's'},
                          {"log", required_argument, nullptr, 'l'},
                          {}};
  for (int c; (c = ::getopt_long(argc, argv, "", known, nullptr)) != -1;) {
    switch (c) {
      case 'c': options.control_socket = optarg; break;
      case 'm': options.module_folder = optarg; break;
      case 'p': options.peer = static_cast<uid_t>(std::strtoul(optarg, nullptr, 10)); break;
      case 's': options.spin = std::chrono::microseconds(std::strtol(optarg, nullptr, 10)); break;
      case 'l':
        if (!open_log(optarg)) return std::perror(optarg), 1;
        break;
      default: return usage();
    }
  }
  if (optind != argc) return usage();
  return run(options);
}
