#include "transport/intercept_rules.h"

#include <fmt/format.h>

#include <array>
#include <fstream>

#include "sys/run_tool.h"

namespace netserv::transport {
namespace {

constexpr std::array<std::string_view, 2> kFamilies{"iptables", "ip6tables"};
constexpr std::array<std::string_view, 2> kTables{"mangle", "raw"};
constexpr std::array<std::string_view, 2> kHooks{"PREROUTING", "OUTPUT"};
constexpr std::array<std::string_view, 3> kVariants{"", "-nft", "-legacy"};

// Asking a legacy tool for a table makes it; so ask only if it is there.
bool would_make_table(std::string_view family, const std::string& tool, std::string_view table) {
  const auto version = sys::run_tool(tool, {"-V"});
  if (!version || version->out.find("legacy") == std::string::npos) return false;
  std::ifstream names(family == "iptables" ? "/proc/net/ip_tables_names" : "/proc/net/ip6_tables_names");
  for (std::string line; std::getline(names, line);)
    if (line == table) return false;
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

std::string install_gist_rules(const InterceptOptions& o, IpVersion version) {
  std::string out = fmt::format("*mangle\n:{0} - [0:0]\n", kGistChain);
  const auto add = [&](std::string_view rule) { out += fmt::format("-A {} {}\n", kGistChain, rule); };
  const auto take = [&](const std::string& from) {
    add(fmt::format("{}-p udp -m udp --dport 270 -j NFQUEUE --queue-num {} --queue-bypass", from, o.queue));
  };
  bool translates = false;
  for (const IpAddress& address : o.nat) {
    if (address.is_v4() != (version == IpVersion::kV4)) continue;
    translates = true;
    take(fmt::format("-d {} ", address.to_string()));
  }
  add("-m addrtype --dst-type LOCAL -j RETURN");  // the UDP socket has those
  add("-m addrtype --dst-type MULTICAST -j RETURN");
  for (const std::string& interface : o.excluded) add(fmt::format("-i {} -j RETURN", interface));
  if (o.everywhere) take("");
  if (!o.everywhere)
    for (const std::string& interface : o.interfaces) take(fmt::format("-i {} ", interface));
  out += fmt::format("-A PREROUTING -j {}\nCOMMIT\n", kGistChain);
  if (!translates) return out;
  // What goes out from others' addresses is no flow of this node's: else the NAT would take the answer for its reply.
  return out + fmt::format("*raw\n:{0} - [0:0]\n"
                           "-A {0} -p udp -m udp --sport 270 -m addrtype ! --src-type LOCAL -j CT --notrack\n"
                           "-A OUTPUT -j {0}\nCOMMIT\n", kGistChain);
}

std::string remove_gist_rules(std::string_view table, std::string_view saved) {
  const std::string declaration = fmt::format(":{} ", kGistChain);
  bool chain = false;
  std::string out = fmt::format("*{}\n", table);
  while (!saved.empty()) {
    const std::string_view line = saved.substr(0, saved.find('\n'));
    saved.remove_prefix(std::min(saved.size(), line.size() + 1));
    if (line.substr(0, declaration.size()) == declaration) chain = true;
    for (std::string_view hook : kHooks)
      if (line == fmt::format("-A {} -j {}", hook, kGistChain)) out += fmt::format("-D {} -j {}\n", hook, kGistChain);
  }
  if (!chain) return {};
  return out + fmt::format("-F {0}\n-X {0}\nCOMMIT\n", kGistChain);
}

Status clean_gist_rules() {
  for (std::string_view family : kFamilies) {
    for (std::string_view variant : kVariants) {
      const std::string save = fmt::format("{}{}-save", family, variant);
      if (!sys::has_tool(save)) continue;
      for (std::string_view table : kTables) {
        if (would_make_table(family, save, table)) continue;
        NETSERV_ASSIGN(auto saved, sys::run_tool(save, {"-t", std::string(table)}));
        if (!saved.ok()) continue;  // this variant does not work on this kernel: nothing of ours is there
        const std::string batch = remove_gist_rules(table, saved.out);
        if (!batch.empty()) NETSERV_TRY(restore(fmt::format("{}{}-restore", family, variant), batch));
      }
    }
  }
  return {};
}

Status place_gist_rules(const InterceptOptions& options) {
  NETSERV_TRY(place(kFamilies[0], install_gist_rules(options, IpVersion::kV4)));
  return place(kFamilies[1], install_gist_rules(options, IpVersion::kV6));
}

}  // namespace netserv::transport
