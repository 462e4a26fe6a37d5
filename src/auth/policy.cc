#include "auth/policy.h"

#include <fmt/format.h>

#include <algorithm>

#include "wire/ncm/status.h"

namespace netserv::auth {
namespace {

using ncm::refuse;
using ncm::StatusCode;

bool inside(const std::vector<Prefix>& prefixes, const Prefix& prefix) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const Prefix& p) { return p.contains(prefix); });
}

Status check_destination(const Prefix& destination, const PublisherPolicy& policy) {
  if (inside(policy.prefixes, destination)) return {};
  return refuse(StatusCode::kFilterNotAllowed, "filter-dst",
                fmt::format("{} is outside the prefixes of \"{}\" (rule: prefixes)", destination.to_string(), policy.name.value()));
}

// filter-dst, or the publisher's own prefixes without it.
Result<std::vector<Filter>> with_destinations(const ncm::FilterSpec& spec, const PublisherPolicy& policy) {
  ncm::FilterSpec whole = spec;
  if (whole.destinations.empty()) whole.destinations = policy.prefixes;
  if (whole.destinations.empty())
    return refuse(StatusCode::kFilterNotAllowed, "filter-dst",
                  fmt::format("\"{}\" has no prefixes on this node, so no packets", policy.name.value()));
  for (const Prefix& p : whole.destinations) NETSERV_TRY(check_destination(p, policy));
  std::vector<Filter> out = whole.expand();
  if (out.empty())
    return refuse(StatusCode::kFilterNotAllowed, "filter-src", "is of another address family than the publisher's prefixes");
  return out;
}

Status check_port(const std::optional<std::uint16_t>& port, const PublisherPolicy& policy) {
  const auto& ranges = policy.filter_ports;
  if (ranges.empty()) return {};
  if (!port)
    return refuse(StatusCode::kFilterNotAllowed, "filter-port", "is required of this publisher (rule: filter_ports)");
  if (std::any_of(ranges.begin(), ranges.end(), [&](const PortRange& r) { return r.contains(*port); })) return {};
  return refuse(StatusCode::kFilterNotAllowed, "filter-port",
                fmt::format("{} is not among the publisher's ports (rule: filter_ports)", *port));
}

Status check_number(const std::vector<Filter>& filters, const PublisherPolicy& policy) {
  if (filters.size() <= policy.max_filters) return {};
  return refuse(StatusCode::kLimitExceeded, "filter-*",
                fmt::format("make {} filters, the limit is {} (rule: max_filters)", filters.size(), policy.max_filters));
}

Status check_reserved(const std::vector<Filter>& filters, const NodeFacts& facts) {
  for (const Filter& f : filters) {
    if (f.protocol == kProtocolUdp && f.destination_port == kSignallingPort)
      return refuse(StatusCode::kReservedTraffic, "filter-port", "UDP 270 is the node's signalling");
    if (f.destination && inside(facts.own_addresses, *f.destination))
      return refuse(StatusCode::kReservedTraffic, "filter-dst",
                    fmt::format("{} is an address of the node itself", f.destination->to_string()));
  }
  return {};
}

Result<std::vector<Filter>> grant_filters(const ncm::Setup& setup, const PublisherPolicy& policy, const NodeFacts& facts) {
  if (setup.filter.empty()) return std::vector<Filter>{};
  NETSERV_ASSIGN(std::vector<Filter> filters, with_destinations(setup.filter, policy));
  for (const Filter& f : filters) NETSERV_TRY(check_port(f.destination_port, policy));
  NETSERV_TRY(check_reserved(filters, facts));
  NETSERV_TRY(check_number(filters, policy));
  return filters;
}

Status check_blocks(const std::vector<std::string>& blocks, const PublisherPolicy& policy, const NodeFacts& facts) {
  for (const std::string& block : blocks) {
    if (!facts.blocks.count(block))
      return refuse(StatusCode::kDependencyMissing, "dependencies", fmt::format("this node has no {}", block));
    if (policy.blocks && !policy.blocks->count(block))
      return refuse(StatusCode::kBlockNotGranted, "dependencies",
                    fmt::format("{} is not granted to this publisher (rule: blocks)", block));
  }
  return {};
}

Status check_limits(const ncm::Setup& setup, const PublisherPolicy& policy, const NodeFacts& facts) {
  if (setup.ttl > policy.max_ttl)
    return refuse(StatusCode::kLimitExceeded, "ttl",
                  fmt::format("at most {} seconds (rule: max_ttl)", policy.max_ttl.count()));
  if (facts.modules_installed >= policy.limits.modules)
    return refuse(StatusCode::kLimitExceeded, "id",
                  fmt::format("the publisher has its {} modules already (rule: modules)", policy.limits.modules));
  return {};
}

Status check_fail_mode(bool closed, const PublisherPolicy& policy) {
  if (!closed || policy.fail_closed) return {};
  return refuse(StatusCode::kNotAllowed, "properties", "netserv.fail=closed is not granted (rule: fail_closed)");
}

// The URL's host, if it is an address. Names are judged when they have been resolved.
std::optional<IpAddress> literal_host(std::string_view url) {
  std::size_t start = url.find("//");
  if (start == std::string_view::npos) return std::nullopt;
  std::string_view host = url.substr(start + 2);
  host = host.substr(0, host.find_first_of("/?#"));
  host = host.starts_with('[') ? host.substr(1, host.find(']') - 1) : host.substr(0, host.find(':'));
  auto address = IpAddress::parse(host);
  if (!address) return std::nullopt;
  return *address;
}

Status check_url(std::string_view header, const std::string& url, const AddressRules& rules) {
  auto address = literal_host(url);
  if (!address) return {};
  if (auto reason = refuse_address(*address, rules))
    return refuse(StatusCode::kAddressRefused, std::string(header), *reason + " (rule: private_ranges)");
  return {};
}

}  // namespace

Result<Grant> authorise(const Authenticated<ncm::Setup>& request, const PublisherPolicy& policy, const NodeFacts& facts) {
  NETSERV_CHECK(request.publisher() == policy.name);
  const ncm::Setup& setup = *request;
  if (policy.disabled)
    return refuse(StatusCode::kPublisherDisabled, "user", fmt::format("\"{}\" is disabled on this node", policy.name.value()));
  if (facts.draining) return refuse(StatusCode::kDraining, "node", "its operator is draining it");
  NETSERV_TRY(check_limits(setup, policy, facts));
  NETSERV_TRY(check_fail_mode(setup.properties.node.fail == ncm::FailMode::kClosed, policy));
  NETSERV_TRY(check_blocks(setup.dependencies, policy, facts));
  Grant out;
  out.addresses = {policy.private_ranges, facts.own_addresses};
  NETSERV_TRY(check_url("url", setup.url, out.addresses));
  NETSERV_TRY(check_url("notification", setup.notification, out.addresses));
  NETSERV_ASSIGN(out.filters, grant_filters(setup, policy, facts));
  out.publisher = policy.name;
  out.module = setup.module;
  out.authorised = policy.prefixes;
  out.blocks = setup.dependencies;
  out.properties = setup.properties;
  out.limits = policy.limits;
  out.ttl = setup.ttl;
  out.priority = policy.priority;
  return out;
}

Status still_allowed(const InUse& module, const PublisherPolicy& policy, const NodeFacts& facts) {
  NETSERV_TRY(check_fail_mode(module.fail_closed, policy));
  NETSERV_TRY(check_blocks(module.blocks, policy, facts));
  NETSERV_TRY(check_url("notification", module.notification, {policy.private_ranges, facts.own_addresses}));
  for (const Filter& f : module.filters) {
    // authorise() gives every filter a destination.
    NETSERV_TRY(check_destination(f.destination.value_or(Prefix{}), policy));
    NETSERV_TRY(check_port(f.destination_port, policy));
  }
  NETSERV_TRY(check_reserved(module.filters, facts));
  return check_number(module.filters, policy);
}

}  // namespace netserv::auth
