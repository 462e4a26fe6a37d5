// netserv-fetch: downloads one module for netservd, confined. The job is one line of JSON on standard input, progress
// and the answer are lines of JSON on standard output (fetch/job.h).
#include <cstdio>
#include <iostream>
#include <string>

#include "fetch/helper.h"

int main(int argc, char** argv) {
  if (argc > 1) {
    bool help = std::string_view(argv[1]) == "--help";
    std::fprintf(help ? stdout : stderr,
                 "usage: netserv-fetch < JOB\nDownloads a file, confined. Example:\n"
                 "  echo '{\"url\":\"https://example.net/m.wasm\",\"output\":\"/tmp/m.wasm\"}' | netserv-fetch\n");
    return help ? 0 : 2;
  }
  auto say = [](std::string_view line) {
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fputc('\n', stdout);
    std::fflush(stdout);
  };
  std::string line;
  std::getline(std::cin, line);
  auto job = netserv::fetch::decode_job(line);
  if (!job) {
    say(netserv::fetch::encode_answer(netserv::fail(job.error())));
    return 2;
  }
  return netserv::fetch::run_helper(*job, say) ? 0 : 1;
}
