// Network-Layer-Information: who and where a signalling peer is (RFC 5971, 5.2.2 and A.3.3).
#pragma once

#include <chrono>
#include <cstdint>

#include "base/bytes.h"
#include "wire/gist/fault.h"
#include "wire/ip/address.h"

namespace netserv::gist {

using Milliseconds = std::chrono::duration<std::uint32_t, std::milli>;

struct Nli {
  std::uint8_t ip_ttl = 0;       // 0: not known
  Milliseconds validity{30000};  // of the routing state; never 0
  Bytes peer_identity;           // opaque, at most 255 bytes
  IpAddress interface_address;
  bool operator==(const Nli&) const = default;
};

MaybeFault decode_nli(ByteSpan value, Nli& out);
// validity must not be 0, peer_identity at most 255 bytes.
void encode_nli(ByteWriter& out, const Nli& nli);

}  // namespace netserv::gist
