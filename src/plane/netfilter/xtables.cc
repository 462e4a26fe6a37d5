#include "plane/netfilter/xtables.h"

#include <fmt/format.h>

#include <fstream>

#include "sys/run_tool.h"

namespace netserv::plane {
namespace {

constexpr std::array kVersions{IpVersion::kV4, IpVersion::kV6};
constexpr std::array<std::string_view, 3> kVariants{"", "-nft", "-legacy"};

std::string tool(IpVersion version, std::string_view variant, std::string_view action) {
  return fmt::format("{}{}-{}", version == IpVersion::kV4 ? "iptables" : "ip6tables", variant, action);
}

// Asking iptables-legacy for a table makes it; so ask only if it is there.
bool legacy_mangle_exists(IpVersion version) {
  std::ifstream names(version == IpVersion::kV4 ? "/proc/net/ip_tables_names" : "/proc/net/ip6_tables_names");
  for (std::string line; std::getline(names, line);)
    if (line == "mangle") return true;
  return false;
}

bool is_legacy(const std::string& save_tool) {
  auto version = sys::run_tool(save_tool, {"-V"});
  return version && version->out.find("legacy") != std::string::npos;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

Status Xtables::restore(IpVersion, const std::string& name, const std::string& batch) {
  NETSERV_ASSIGN(auto result, sys::run_tool(name, {"--noflush", "-w", "5"}, batch));
  if (!result.ok()) return fail(Origin::kSystem, name, first_line(result.err));
  return {};
}

Status Xtables::clean() {
  for (IpVersion version : kVersions) {
    for (std::string_view variant : kVariants) {
      std::string save = tool(version, variant, "save");
      if (!sys::has_tool(save) || (is_legacy(save) && !legacy_mangle_exists(version))) continue;
      NETSERV_ASSIGN(auto saved, sys::run_tool(save, {"-t", "mangle"}));
      if (!saved.ok()) continue;  // this variant does not work on this kernel: nothing of ours is there
      std::string batch = removal_batch(saved.out);
      if (!batch.empty()) NETSERV_TRY(restore(version, tool(version, variant, "restore"), batch));
    }
  }
  return {};
}

Status Xtables::install() {
  const Filter nothing{kProtocolUdp, 9, {}, {}};
  const RuleSet logging{{}, {{nothing, true, 64, 2}}};
  can_log_ = true;
  for (IpVersion version : kVersions) {
    std::string& works = restore_[static_cast<std::size_t>(version)];
    std::string problems;
    // The probe places a queue rule too, which a kernel or variant may lack.
    std::string probe = install_batch({{nothing}, {}}, version, Jump::kAdd, options_);
    for (std::string_view variant : kVariants) {
      std::string name = tool(version, variant, "restore");
      if (!sys::has_tool(name)) continue;
      Status placed = restore(version, name, probe);
      if (placed) {
        works = name;
        break;
      }
      problems += (problems.empty() ? "" : "; ") + placed.error().message();
    }
    if (works.empty())
      return fail(Origin::kSystem, "netfilter",
                  "no iptables-restore can place NFQUEUE rules: " + (problems.empty() ? "none installed" : problems));
    can_log_ = can_log_ && restore(version, works, install_batch(logging, version, Jump::kPresent, options_)).has_value();
    NETSERV_TRY(restore(version, works, install_batch({}, version, Jump::kPresent, options_)));
  }
  return {};
}

Status Xtables::replace(const RuleSet& wanted) {
  auto batch = [&](const RuleSet& set, IpVersion version) {
    return install_batch(set, version, Jump::kPresent, options_);
  };
  if (wanted == in_force_) return {};
  NETSERV_TRY(restore(IpVersion::kV4, restore_[0], batch(wanted, IpVersion::kV4)));
  if (Status v6 = restore(IpVersion::kV6, restore_[1], batch(wanted, IpVersion::kV6)); !v6) {
    (void)restore(IpVersion::kV4, restore_[0], batch(in_force_, IpVersion::kV4));
    return v6;
  }
  in_force_ = wanted;
  return {};
}

}  // namespace netserv::plane
