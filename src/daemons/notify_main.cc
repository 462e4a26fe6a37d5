// netserv-notify: posts a node's events to one notification URL, confined. The first line of standard input is a job
// (fetch/job.h: url, ca_file, rules, identity), every further one an event; ends at end of file.
#include <unistd.h>

#include <cstdio>
#include <string>

#include "fetch/notifier.h"

int main(int argc, char** argv) {
  if (argc > 1) {
    bool help = std::string_view(argv[1]) == "--help";
    std::fprintf(help ? stdout : stderr,
                 "usage: netserv-notify < JOB-AND-EVENTS\nPosts lines of JSON to a URL, confined. Example:\n"
                 "  printf '%%s\\n' '{\"url\":\"https://example.net/events\",\"output\":\"-\"}' '{\"event\":\"installed\"}' "
                 "| netserv-notify\n");
    return help ? 0 : 2;
  }
  std::string read;
  char buffer[4096];
  while (read.find('\n') == std::string::npos && read.size() < 65536) {
    ssize_t n = ::read(0, buffer, sizeof buffer);
    if (n <= 0) break;
    read.append(buffer, static_cast<std::size_t>(n));
  }
  std::size_t end = read.find('\n');
  auto job = netserv::fetch::decode_job(std::string_view(read).substr(0, end));
  netserv::Status status =
      job ? netserv::fetch::run_notifier(*job, 0, 1, end == std::string::npos ? "" : read.substr(end + 1))
          : netserv::Status(netserv::fail(job.error()));
  if (!status) std::fprintf(stderr, "netserv-notify: %s\n", status.error().message().c_str());
  return status ? 0 : 1;
}
