// Message-Routing-Information: which flow, by which message routing method, in which direction (RFC 5971, 3.3,
// 5.8 and A.3.1). Part of the routing state key, so both methods are ordered values with a hash.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "base/bytes.h"
#include "wire/gist/fault.h"
#include "wire/gist/types.h"
#include "wire/ip/address.h"

namespace netserv::gist {

// A.3.1.1. An absent field is a wildcard; a port of 0 is a particular port that is not yet known.
struct PathCoupledMri {
  Direction direction = Direction::kDownstream;
  IpAddress source;
  IpAddress destination;
  std::uint8_t source_prefix = 32;
  std::uint8_t destination_prefix = 32;
  std::optional<std::uint8_t> protocol;
  std::optional<std::uint8_t> dscp;                // 6 bits
  std::optional<std::uint32_t> flow_label;         // 20 bits, IPv6 only
  std::optional<std::uint32_t> spi;                // needs protocol
  std::optional<std::uint16_t> source_port;        // needs protocol
  std::optional<std::uint16_t> destination_port;   // needs protocol
  auto operator<=>(const PathCoupledMri&) const = default;
};

// A.3.1.2. kDownstream is towards the edge of the network.
struct LooseEndMri {
  Direction direction = Direction::kDownstream;
  IpAddress source;
  IpAddress destination;
  auto operator<=>(const LooseEndMri&) const = default;
};

using Mri = std::variant<PathCoupledMri, LooseEndMri>;

Direction direction_of(const Mri& mri);
Mri inverted(Mri mri);
const IpAddress& source_of(const Mri& mri);
const IpAddress& destination_of(const Mri& mri);
// Where messages of its direction go.
const IpAddress& end_in_direction(const Mri& mri);
std::string to_string(const Mri& mri);
std::size_t hash_of(const Mri& mri);

// Whether the constraints of A.3.1.1 hold, so that encoding and decoding gives the same value.
bool is_valid(const Mri& mri);

// `value` is the object without its TLV header.
MaybeFault decode_mri(ByteSpan value, Mri& out);
// mri must be valid.
void encode_mri(ByteWriter& out, const Mri& mri);

}  // namespace netserv::gist

template <>
struct std::hash<netserv::gist::Mri> {
  std::size_t operator()(const netserv::gist::Mri& mri) const { return netserv::gist::hash_of(mri); }
};
