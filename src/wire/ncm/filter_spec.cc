#include "wire/ncm/filter_spec.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "wire/ncm/message.h"
#include "wire/ncm/status.h"
#include "wire/ncm/value.h"

namespace netserv::ncm {
namespace {

struct ProtocolName {
  std::string_view name;
  std::uint8_t number;
};
// IANA protocol numbers that people write by name. Others are written as numbers.
constexpr ProtocolName kProtocolNames[] = {
    {"icmp", 1}, {"igmp", 2}, {"tcp", 6},        {"udp", 17},     {"gre", 47},
    {"esp", 50}, {"ah", 51},  {"ipv6-icmp", 58}, {"icmpv6", 58},  {"ospf", 89},
    {"pim", 103}, {"sctp", 132}, {"udplite", 136},
};

Result<std::uint8_t> parse_protocol(std::string_view header, std::string_view text) {
  std::string lower = to_lower(text);
  for (const ProtocolName& p : kProtocolNames)
    if (p.name == lower) return p.number;
  if (auto number = parse_unsigned(text, 255)) return static_cast<std::uint8_t>(*number);
  return refuse(StatusCode::kBadValue, std::string(header),
                fmt::format("\"{}\" is no protocol (tcp, udp, ..., or 0 to 255)", shorten(text)));
}

// Applies `parse_one` to each element of a comma list; refuses empty elements, doubles and long lists.
template <class T, class ParseOne>
Result<std::vector<T>> parse_list(std::string_view header, std::string_view value, ParseOne parse_one) {
  std::vector<T> out;
  NETSERV_ASSIGN(std::vector<std::string_view> items, split_list(header, value, kMaxFilterValues));
  for (std::string_view item : items) {
    NETSERV_ASSIGN(T one, parse_one(item));
    if (std::find(out.begin(), out.end(), one) != out.end())
      return refuse(StatusCode::kBadValue, std::string(header), fmt::format("{} is there twice", shorten(item)));
    out.push_back(one);
  }
  return out;
}

template <class T>
std::vector<std::optional<T>> or_any(const std::vector<T>& values) {
  if (values.empty()) return {std::nullopt};
  return {values.begin(), values.end()};
}

}  // namespace

Result<std::vector<std::uint8_t>> parse_protocols(std::string_view header, std::string_view value) {
  return parse_list<std::uint8_t>(header, value, [&](std::string_view t) { return parse_protocol(header, t); });
}

Result<std::vector<std::uint16_t>> parse_ports(std::string_view header, std::string_view value) {
  return parse_list<std::uint16_t>(header, value, [&](std::string_view t) -> Result<std::uint16_t> {
    auto number = parse_unsigned(t, 65535);
    if (number && *number > 0) return static_cast<std::uint16_t>(*number);
    return refuse(StatusCode::kBadValue, std::string(header),
                  fmt::format("\"{}\" is no port (1 to 65535)", shorten(t)));
  });
}

Result<std::vector<Prefix>> parse_prefixes(std::string_view header, std::string_view value) {
  return parse_list<Prefix>(header, value, [&](std::string_view t) -> Result<Prefix> {
    if (auto prefix = Prefix::parse(t)) return *prefix;
    return refuse(StatusCode::kBadValue, std::string(header),
                  fmt::format("\"{}\" is no address or prefix such as 192.0.2.0/24", shorten(t)));
  });
}

Status check_filters(const FilterSpec& spec) {
  if (!spec.ports.empty()) {
    bool only_ports = !spec.protocols.empty();
    for (std::uint8_t p : spec.protocols) only_ports = only_ports && (p == kProtocolTcp || p == kProtocolUdp);
    if (!only_ports)
      return refuse(StatusCode::kBadValue, "filter-port", "needs filter-proto to be tcp, udp or both");
  }
  auto count = [](const auto& list) { return list.empty() ? std::size_t{1} : list.size(); };
  if (count(spec.protocols) * count(spec.ports) * count(spec.sources) * count(spec.destinations) > kMaxFilters)
    return refuse(StatusCode::kTooLarge, "filter-*", fmt::format("more than {} combinations", kMaxFilters));
  if (!spec.empty() && spec.expand().empty())
    return refuse(StatusCode::kBadValue, "filter-src", "and filter-dst are of different address families");
  return {};
}

std::vector<Filter> FilterSpec::expand() const {
  std::vector<Filter> out;
  if (empty()) return out;
  for (const auto& protocol : or_any(protocols))
    for (const auto& port : or_any(ports))
      for (const auto& source : or_any(sources))
        for (const auto& destination : or_any(destinations)) {
          if (source && destination && source->address().is_v4() != destination->address().is_v4()) continue;
          out.push_back({protocol, port, source, destination});
        }
  return out;
}

std::string protocol_name(std::uint8_t protocol) {
  for (const ProtocolName& p : kProtocolNames)
    if (p.number == protocol) return std::string(p.name);
  return std::to_string(protocol);
}

std::string print_protocols(const std::vector<std::uint8_t>& protocols) {
  std::vector<std::string> names;
  for (std::uint8_t p : protocols) names.push_back(protocol_name(p));
  return fmt::format("{}", fmt::join(names, ","));
}
std::string print_ports(const std::vector<std::uint16_t>& ports) { return fmt::format("{}", fmt::join(ports, ",")); }
std::string print_prefixes(const std::vector<Prefix>& prefixes) {
  std::vector<std::string> texts;
  for (const Prefix& p : prefixes) texts.push_back(p.to_string());
  return fmt::format("{}", fmt::join(texts, ","));
}

}  // namespace netserv::ncm
