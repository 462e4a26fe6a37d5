#include "plane/choice/choice.h"

#include <fmt/format.h>

#include <algorithm>

namespace netserv::plane {
namespace {

bool has(const std::vector<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

std::vector<std::string> routed_by(const HostFacts& facts) {
  std::vector<std::string> out;
  for (const InterfaceFacts& i : facts.interfaces)
    if (i.ethernet && i.up && i.has_address) out.push_back(i.name);
  return out;
}

// What packets between these interfaces would miss, for people; empty: nothing.
std::string gone_around(const std::vector<std::string>& interfaces, const HostFacts& facts) {
  std::string out;
  auto add = [&](const std::string& what) { out += (out.empty() ? "" : ", ") + what; };
  for (const RuleFacts& r : facts.rules) {
    if ((!r.in.empty() && !has(interfaces, r.in)) || (!r.out.empty() && !has(interfaces, r.out))) continue;
    if (r.count == 0) add(r.where + " policy");
    else add(fmt::format("{} ({} {})", r.where, r.count, r.count == 1 ? "rule" : "rules"));
  }
  for (const InterfaceFacts& i : facts.interfaces) {
    if (!has(interfaces, i.name)) continue;
    if (!i.qdisc.empty()) add(fmt::format("qdisc {} on {}", i.qdisc, i.name));
    if (i.strict_reverse_path) add("strict rp_filter on " + i.name);
  }
  return out;
}

}  // namespace

std::string_view to_string(PlaneKind kind) {
  switch (kind) {
    case PlaneKind::kAuto: return "auto";
    case PlaneKind::kXdp: return "xdp";
    case PlaneKind::kNetfilter: return "netfilter";
  }
  return "?";
}

Result<PlaneKind> plane_named(std::string_view name) {
  for (PlaneKind kind : {PlaneKind::kAuto, PlaneKind::kXdp, PlaneKind::kNetfilter})
    if (name == to_string(kind)) return kind;
  return fail(Origin::kOperator, {}, fmt::format("\"{}\" is not auto, xdp or netfilter", name));
}

Result<PlaneChoice> choose_plane(const PlaneWish& wish, const HostFacts& facts) {
  auto netfilter = [](std::string reason) { return PlaneChoice{PlaneKind::kNetfilter, {}, std::move(reason)}; };
  if (wish.plane == PlaneKind::kNetfilter) return netfilter("configured");

  const bool forced = wish.plane == PlaneKind::kXdp;
  const std::vector<std::string> interfaces = wish.interfaces.empty() ? routed_by(facts) : wish.interfaces;
  if (interfaces.empty() && forced)
    return fail(Origin::kOperator, "plane xdp", "no Ethernet interface with an address is up; name some: interfaces = [...]");
  for (const std::string& name : interfaces)
    if (std::none_of(facts.interfaces.begin(), facts.interfaces.end(), [&](const auto& i) { return i.name == name; }))
      return fail(Origin::kOperator, name, "no such interface");

  const std::string around = gone_around(interfaces, facts);
  if (forced) {
    if (facts.xdp_problem) return fail(Origin::kSystem, "plane xdp", *facts.xdp_problem);
    return PlaneChoice{PlaneKind::kXdp, interfaces, "configured" + (around.empty() ? "" : "; goes around " + around)};
  }
  if (interfaces.empty()) return netfilter("no Ethernet interface with an address is up");
  if (facts.xdp_problem) return netfilter("xdp does not work here: " + *facts.xdp_problem);
  if (wish.bypass)
    return PlaneChoice{PlaneKind::kXdp, interfaces,
                       around.empty() ? "nothing in its way" : "bypass = true: goes around " + around};
  if (!around.empty()) return netfilter("xdp would go around " + around + "; bypass = true allows that");
  if (!facts.unknown.empty()) return netfilter("what xdp would go around can't be told: " + facts.unknown);
  return PlaneChoice{PlaneKind::kXdp, interfaces, "no forward rules, NAT or qdiscs in its way"};
}

}  // namespace netserv::plane
