// netserv-compile INPUT.wasm OUTPUT.so: the compile helper (compile/helper.h). Says its result as one line of JSON
// on standard output; exits with 0 if the module was compiled, 1 if not, 2 on a wrong command line.
#include <CLI/CLI.hpp>

#include <cstdio>

#include "compile/helper.h"

int main(int argc, char** argv) {
  netserv::compile::HelperJob job;
  std::string user;
  std::int64_t deadline_ms = job.deadline.count();
  std::uint64_t memory_mb = job.memory_bytes >> 20, file_mb = job.file_bytes >> 20;

  CLI::App app("Compiles a NetServ module from WebAssembly to a shared object, confined");
  app.add_option("input", job.input, "the module, a .wasm file")->required();
  app.add_option("output", job.output, "the object to write")->required();
  app.add_option("--manifest-out", job.manifest_output, "write the manifest there too");
  app.add_option("--scratch", job.scratch_parent, "folder for scratch files")->capture_default_str();
  app.add_option("--compiler", job.compiler, "the C compiler")->capture_default_str();
  app.add_option("--user", user, "UID:GID to run as when started by root (65534:65534)");
  app.add_option("--deadline-ms", deadline_ms, "time for everything")->capture_default_str();
  app.add_option("--memory-mb", memory_mb, "address space of each process")->capture_default_str();
  app.add_option("--file-mb", file_mb, "size of each file written")->capture_default_str();
  app.add_option("--max-module-bytes", job.limits.module_bytes, "size of the module")->capture_default_str();
  app.add_option("--max-functions", job.limits.functions, "functions in the module")->capture_default_str();
  app.add_option("--max-function-bytes", job.limits.function_bytes, "size of one function")->capture_default_str();
  app.add_option("--max-locals", job.limits.locals, "locals of one function")->capture_default_str();
  app.add_option("--max-nesting", job.limits.nesting, "blocks within blocks")->capture_default_str();
  app.add_option("--max-memory-pages", job.limits.memory_pages, "64 KiB pages at start")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  if (!user.empty()) {
    unsigned uid = 0, gid = 0;
    char rest = 0;
    if (std::sscanf(user.c_str(), "%u:%u%c", &uid, &gid, &rest) != 2 || uid == 0 || gid == 0) {
      std::fprintf(stderr, "--user: %s is not UID:GID of an ordinary user\n", user.c_str());
      return 2;
    }
    job.identity = {uid, gid};
  }
  if (deadline_ms < 1 || deadline_ms > 3'600'000) {
    std::fprintf(stderr, "--deadline-ms: must be 1 to 3600000\n");
    return 2;
  }
  job.deadline = std::chrono::milliseconds(deadline_ms);
  job.memory_bytes = memory_mb << 20;
  job.file_bytes = file_mb << 20;

  const netserv::compile::HelperAnswer answer = netserv::compile::run_helper(job);
  std::printf("%s\n", answer.json.c_str());
  return answer.ok ? 0 : 1;
}
