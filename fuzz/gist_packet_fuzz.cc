// Interception's decoders on arbitrary IP packets: read_packet(), with or without options and extension headers, and
// the ping NSLP's payload. What is read must come back from what is written of it, with another TTL and payload too.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "transport/packet_image.h"
#include "transport/ping.h"

using namespace netserv;
using namespace netserv::transport;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void packet(ByteSpan bytes) {
  auto d = read_packet(bytes, 1);
  if (!d) return;
  require(d->ip_header.size() + 8 + d->payload.size() <= bytes.size());
  const auto again = read_packet(rebuild_packet(*d), 1);
  require(again && again->payload == d->payload && again->source == d->source && again->destination == d->destination);
  --d->ttl;
  d->payload.resize(d->payload.size() / 2 + 4);
  const auto changed = read_packet(rebuild_packet(*d), 1);
  require(changed && changed->payload == d->payload && changed->ttl == d->ttl);
  const auto query = read_packet(query_packet(*d, 7), 1);
  require(query && query->payload == d->payload && query->dscp == d->dscp);
}

void ping(ByteSpan bytes) {
  const auto p = decode_ping(bytes);
  if (p) require(decode_ping(encode_ping(*p)) == p);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan bytes = std::as_bytes(std::span(data, size));
  packet(bytes);
  ping(bytes);
  return 0;
}
