#include "transport/intercept_rules.h"

#include <fmt/format.h>

#include <array>
#include <fstream>

#include "sys/run_tool.h"

namespace netserv::transport {
namespace {

constexpr std::array<std::string_view, 2> kFamilies{"iptables", "ip6tables"};
constexpr std::array<std::string_view, 3> kVariants{"", "-nft", "-legacy"};

// Asking a legacy tool for a table makes it; so ask only if it is there.
bool would_make_table(std::string_view family, const std::string& tool) {
  const auto version = sys::run_tool(tool, {"-V"});
  if (!version || version->out.find("legacy") == std::string::npos) return false;
  std::ifstream names(family == "iptables" ? "/proc/net/ip_tables_names" : "/proc/net/ip6_tables_names");
  for (std::string line; std::getline(names, line);)
    if (line == "mangle") return false;
  return true;
}

Status restore(const std::string& tool, const std::string& batch) {
  NETSERV_ASSIGN(auto result, sys::run_tool(tool, {"--noflush", "-w", "5"}, batch));
  if (!result.ok()) return fail(Origin::kSystem, tool, result.err.substr(0, result.err.find('\n')));
  return {};
}

Status place(std::string_view family, const std::string& batch) {
  std::string problems;
  for (std::string_view variant : kVariants) {
    const std::string tool = fmt::format("{}{}-restore", family, variant);
    if (!sys::has_tool(tool)) continue;
    const Status placed = restore(tool, batch);
    if (placed) return {};
    problems += (problems.empty() ? "" : "; ") + placed.error().message();
  }
  return fail(Origin::kSystem, std::string(family),
              "can't place rules for interception: " + (problems.empty() ? "no such tool" : problems));
}

}  // namespace

std::string install_gist_rules(const InterceptOptions& o) {
  std::string out = fmt::format("*mangle\n:{0} - [0:0]\n", kGistChain);
  const auto add = [&](std::string_view rule) { out += fmt::format("-A {} {}\n", kGistChain, rule); };
  add("-m addrtype --dst-type LOCAL -j RETURN");  // the UDP socket has those
  add("-m addrtype --dst-type MULTICAST -j RETURN");
  const auto take = [&](const std::string& from) {
    add(fmt::format("{}-p udp -m udp --dport 270 -j NFQUEUE --queue-num {} --queue-bypass", from, o.queue));
  };
  for (const std::string& interface : o.excluded) add(fmt::format("-i {} -j RETURN", interface));
  if (o.everywhere) take("");
  if (!o.everywhere)
    for (const std::string& interface : o.interfaces) take(fmt::format("-i {} ", interface));
  return out + fmt::format("-A PREROUTING -j {}\nCOMMIT\n", kGistChain);
}

std::string remove_gist_rules(std::string_view saved) {
  const std::string declaration = fmt::format(":{} ", kGistChain), jump = fmt::format("-A PREROUTING -j {}", kGistChain);
  bool chain = false;
  std::string out = "*mangle\n";
  while (!saved.empty()) {
    const std::string_view line = saved.substr(0, saved.find('\n'));
    saved.remove_prefix(std::min(saved.size(), line.size() + 1));
    if (line.substr(0, declaration.size()) == declaration) chain = true;
    if (line == jump) out += fmt::format("-D PREROUTING -j {}\n", kGistChain);
  }
  if (!chain) return {};
  return out + fmt::format("-F {0}\n-X {0}\nCOMMIT\n", kGistChain);
}

Status clean_gist_rules() {
  for (std::string_view family : kFamilies) {
    for (std::string_view variant : kVariants) {
      const std::string save = fmt::format("{}{}-save", family, variant);
      if (!sys::has_tool(save) || would_make_table(family, save)) continue;
      NETSERV_ASSIGN(auto saved, sys::run_tool(save, {"-t", "mangle"}));
      if (!saved.ok()) continue;  // this variant does not work on this kernel: nothing of ours is there
      const std::string batch = remove_gist_rules(saved.out);
      if (!batch.empty()) NETSERV_TRY(restore(fmt::format("{}{}-restore", family, variant), batch));
    }
  }
  return {};
}

Status place_gist_rules(const InterceptOptions& options) {
  for (std::string_view family : kFamilies) NETSERV_TRY(place(family, install_gist_rules(options)));
  return {};
}

}  // namespace netserv::transport
