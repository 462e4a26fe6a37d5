// GIST datagrams as whole IP packets: what an interception hands us, what goes on unchanged, and what we send in
// Q-mode with an address and options of our choice (RFC 5971, 5.3.2). Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "gist/output.h"

namespace netserv::transport {

// A forwarded packet as a datagram, its IP header kept. Empty if it is no whole UDP packet: a fragment, lengths that
// contradict each other.
std::optional<gist::Datagram> read_packet(ByteSpan packet, std::uint32_t interface);

// The packet that read_packet() took apart, with the datagram's TTL and payload. Byte for byte as it came but for
// those and what depends on them (lengths and checksums). `datagram.ip_header` must not be empty.
Bytes rebuild_packet(const gist::Datagram& datagram);

// A Q-mode packet: Router Alert Option with `router_alert`, for IPv4 also DF.
Bytes query_packet(const gist::Datagram& datagram, std::uint16_t router_alert);
// The same without the option: what goes out from an address that is not this node's.
Bytes plain_packet(const gist::Datagram& datagram);

}  // namespace netserv::transport
