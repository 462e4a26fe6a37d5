#include "auth/address_rules.h"

#include <fmt/format.h>

#include <algorithm>

namespace netserv::auth {
namespace {

struct Special {
  Prefix prefix;
  std::string_view what;
};

const std::vector<Special>& special_prefixes() {
  static const std::vector<Special> table = {
      {*Prefix::parse("0.0.0.0/8"), "unspecified"},
      {*Prefix::parse("10.0.0.0/8"), "private"},
      {*Prefix::parse("100.64.0.0/10"), "private (carrier NAT)"},
      {*Prefix::parse("127.0.0.0/8"), "loopback"},
      {*Prefix::parse("169.254.0.0/16"), "link-local"},
      {*Prefix::parse("172.16.0.0/12"), "private"},
      {*Prefix::parse("192.0.0.0/24"), "reserved"},
      {*Prefix::parse("192.168.0.0/16"), "private"},
      {*Prefix::parse("198.18.0.0/15"), "private (benchmarks)"},
      {*Prefix::parse("224.0.0.0/4"), "multicast"},
      {*Prefix::parse("240.0.0.0/4"), "reserved"},
      {*Prefix::parse("::/128"), "unspecified"},
      {*Prefix::parse("::1/128"), "loopback"},
      {*Prefix::parse("64:ff9b:1::/48"), "private (translation)"},
      {*Prefix::parse("2001::/32"), "tunnelled (Teredo)"},
      {*Prefix::parse("fc00::/7"), "private"},
      {*Prefix::parse("fe80::/10"), "link-local"},
      {*Prefix::parse("fec0::/10"), "site-local"},
      {*Prefix::parse("ff00::/8"), "multicast"},
  };
  return table;
}

// The IPv4 address that traffic to `address` ends at, if it is one in disguise.
std::optional<IpAddress> embedded_v4(const IpAddress& address) {
  static const Prefix kMapped = *Prefix::parse("::ffff:0:0/96"), kCompatible = *Prefix::parse("::/96"),
                      kTranslated = *Prefix::parse("::ffff:0:0:0/96"), kNat64 = *Prefix::parse("64:ff9b::/96"), k6to4 = *Prefix::parse("2002::/16");
  static const IpAddress kLoopback = *IpAddress::parse("::1"), kUnspecified = *IpAddress::parse("::");
  if (address.is_v4() || address == kLoopback || address == kUnspecified) return std::nullopt;
  if (k6to4.contains(address)) return IpAddress::from_bytes(address.bytes().subspan(2, 4));
  if (kMapped.contains(address) || kTranslated.contains(address) || kNat64.contains(address) || kCompatible.contains(address))
    return IpAddress::from_bytes(address.bytes().subspan(12, 4));
  return std::nullopt;
}

bool contains(const std::vector<Prefix>& prefixes, const IpAddress& address) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const Prefix& p) { return p.contains(address); });
}

}  // namespace

std::optional<std::string> refuse_address(const IpAddress& address, const AddressRules& rules) {
  if (contains(rules.own, address)) return fmt::format("{} is the node's own address", address.to_string());
  if (auto v4 = embedded_v4(address)) return refuse_address(*v4, rules);
  if (contains(rules.allowed, address)) return std::nullopt;
  for (const Special& s : special_prefixes())
    if (s.prefix.contains(address))
      return fmt::format("{} is {}, and this node's policy does not list it", address.to_string(), s.what);
  return std::nullopt;
}

}  // namespace netserv::auth
