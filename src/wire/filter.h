// One packet filter of a module: the fields of SETUP's filter-* headers, ANDed. Comma lists in the headers
// become several Filters. Defined here since policy, controller and forwarder all speak of it.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>

#include "wire/ip/address.h"
#include "wire/ip/packet.h"

namespace netserv {

struct Filter {
  std::optional<std::uint8_t> protocol;
  std::optional<std::uint16_t> destination_port;  // only with TCP or UDP
  std::optional<Prefix> source;
  std::optional<Prefix> destination;
  auto operator<=>(const Filter&) const = default;

  bool matches(const PacketHeaders& p) const {
    return (!protocol || *protocol == p.protocol) &&
           (!destination_port || (p.has_ports && *destination_port == p.destination_port)) &&
           (!source || source->contains(p.source)) && (!destination || destination->contains(p.destination));
  }
};

}  // namespace netserv
