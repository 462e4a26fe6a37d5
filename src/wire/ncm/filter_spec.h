// The filter-* headers of a SETUP: each a comma list, ANDed with each other.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/filter.h"

namespace netserv::ncm {

inline constexpr std::size_t kMaxFilterValues = 64;  // in one header
inline constexpr std::size_t kMaxFilters = 256;      // all combinations

struct FilterSpec {
  std::vector<std::uint8_t> protocols;
  std::vector<std::uint16_t> ports;  // destination ports; only with TCP, UDP or both
  std::vector<Prefix> sources;
  std::vector<Prefix> destinations;
  bool operator==(const FilterSpec&) const = default;

  // No filter header: the module gets no packets.
  bool empty() const { return protocols.empty() && ports.empty() && sources.empty() && destinations.empty(); }
  // Every combination of one value a header; sources and destinations of different families do not combine.
  // Empty for an empty spec.
  std::vector<Filter> expand() const;
};

// Comma lists. Errors: the header's name and the value at fault. An empty value gives an empty list.
Result<std::vector<std::uint8_t>> parse_protocols(std::string_view header, std::string_view value);
Result<std::vector<std::uint16_t>> parse_ports(std::string_view header, std::string_view value);
Result<std::vector<Prefix>> parse_prefixes(std::string_view header, std::string_view value);
// What holds between the headers: ports need tcp or udp, at least one and at most kMaxFilters combinations.
Status check_filters(const FilterSpec& spec);

std::string print_protocols(const std::vector<std::uint8_t>& protocols);  // "udp,tcp,89"
std::string print_ports(const std::vector<std::uint16_t>& ports);
std::string print_prefixes(const std::vector<Prefix>& prefixes);
std::string protocol_name(std::uint8_t protocol);

}  // namespace netserv::ncm
