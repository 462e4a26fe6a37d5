#include "cli/module_facts.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/bytes.h"
#include "cli/files.h"
#include "compile/check.h"
#include "compile/module_cache.h"

namespace netserv::cli {
namespace {

using nlohmann::json;

json manifest_json(const compile::Manifest& m) {
  json kind = json::array();
  if (m.packet) kind.push_back("packet");
  if (m.server) kind.push_back("server");
  return {{"name", m.name}, {"version", m.version}, {"abi", m.abi}, {"kind", kind}, {"blocks", m.blocks},
          {"observer", m.observer}, {"memory_pages", m.memory_pages}};
}

json checked(ByteSpan wasm) {
  auto module = compile::check_module(wasm);
  if (!module) return {{"accepted", false}, {"refusal", module.error().message()}};
  return {{"accepted", true}, {"id", module->manifest.name + "_" + module->manifest.version}, {"manifest", manifest_json(module->manifest)}, {"imports", module->imports},
          {"exports", module->exports}, {"memory_pages", module->memory_pages}};
}

// libwabt may abort or take long on a file made to that end, so it gets a process of its own.
Result<json> checked_apart(ByteSpan wasm) {
  int ends[2];
  if (pipe(ends) < 0) return fail_errno("pipe", "cannot make", errno);
  pid_t child = fork();
  if (child < 0) {
    close(ends[0]);
    close(ends[1]);
    return fail_errno("fork", "cannot start the check", errno);
  }
  if (child == 0) {
    close(ends[0]);
    const rlimit cpu{10, 10}, none{0, 0};
    setrlimit(RLIMIT_CPU, &cpu);
    setrlimit(RLIMIT_CORE, &none);
    std::string text = checked(wasm).dump(-1, ' ', false, json::error_handler_t::replace);
    for (std::size_t at = 0; at < text.size();) {
      ssize_t n = write(ends[1], text.data() + at, text.size() - at);
      if (n < 0 && errno != EINTR) _exit(1);
      if (n > 0) at += static_cast<std::size_t>(n);
    }
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (;;) {
    ssize_t n = read(ends[0], buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(buffer, static_cast<std::size_t>(n));
  }
  close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return json{{"accepted", false},
                {"refusal", WIFSIGNALED(status) ? fmt::format("the check broke down on it ({})", strsignal(WTERMSIG(status)))
                                                : std::string("the check broke down on it")}};
  return json::parse(text);
}

std::string list_of(const json& array) {
  std::string out;
  for (const auto& item : array) out += (out.empty() ? "" : ", ") + item.get<std::string>();
  return out.empty() ? "none" : out;
}

}  // namespace

Result<json> module_facts(const std::string& path) {
  NETSERV_ASSIGN(Bytes wasm, read_whole_file(path, 64u << 20));
  json facts = {{"file", path}, {"bytes", wasm.size()}, {"sha256", compile::to_hex(compile::digest_of(wasm))}};
  if (auto split = compile::split_file(wasm)) facts["code_bytes"] = split->code.size();
  NETSERV_ASSIGN(json verdict, checked_apart(wasm));
  facts.update(verdict);
  return facts;
}

std::string describe(const json& facts) {
  std::string out = fmt::format("file       {}, {} bytes\n", facts["file"].get<std::string>(), facts["bytes"].get<std::size_t>());
  out += fmt::format("digest     sha-256 {}\n", facts["sha256"].get<std::string>());
  if (!facts["accepted"]) return out + fmt::format("accepted   no: {}\n", facts["refusal"].get<std::string>());
  const json& m = facts["manifest"];
  out += fmt::format("module     {} {}, ABI {}, kind {}{}\n", m["name"].get<std::string>(), m["version"].get<std::string>(),
                     m["abi"].get<unsigned>(), list_of(m["kind"]), m["observer"] ? ", may observe" : "");
  out += fmt::format("id         {}, or with its last dotted parts alone\n", facts["id"].get<std::string>());
  out += fmt::format("blocks     {}\n", list_of(m["blocks"]));
  out += fmt::format("imports    {}\n", list_of(facts["imports"]));
  out += fmt::format("exports    {}\n", list_of(facts["exports"]));
  unsigned wanted = m["memory_pages"];
  out += fmt::format("memory     {} pages of 64 KiB at start, {}\n", facts["memory_pages"].get<unsigned>(),
                     wanted ? fmt::format("at most {}", wanted) : std::string("no limit of its own"));
  return out + "accepted   yes; a node's policy decides the rest\n";
}

}  // namespace netserv::cli
