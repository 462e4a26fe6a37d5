#include "forward/grant.h"

namespace netserv::forward {
namespace {

bool covered(const std::vector<Prefix>& prefixes, const IpAddress& address) {
  return std::ranges::any_of(prefixes, [&](const Prefix& p) { return p.contains(address); });
}

bool finish_packet(std::span<std::byte>& packet, const PacketHeaders& headers) {
  packet = packet.first(headers.total_length);
  return fix_checksums(packet);
}

bool may_use(const IpAddress& address, const std::vector<Prefix>& authorised, const ReservedAddresses& reserved) {
  return covered(authorised, address) && !reserved.contains(address);
}

// A raw socket sends anywhere, to the node's own loopback too.
bool is_remote_host(const IpAddress& a) {
  bool broadcast = a.is_v4() && a.v4_host_order() == 0xffffffff;
  return !a.is_loopback() && !a.is_link_local() && !a.is_multicast() && !a.is_unspecified() && !broadcast;
}

}  // namespace

bool is_signalling(const PacketHeaders& p) {
  return p.has_ports && p.protocol == kProtocolUdp && p.destination_port == kSignallingPort;
}

Refusal check_changed(std::span<std::byte>& packet, const PacketHeaders& original,
                      const std::vector<Prefix>& authorised, const ReservedAddresses& reserved, Way way) {
  auto now = parse_packet(packet);
  if (!now || now->fragment || now->ttl == 0 || now->source.is_v4() != original.source.is_v4())
    return Refusal::kUnparsable;
  if (now->source != original.source && !may_use(now->source, authorised, reserved)) return Refusal::kSource;
  if (now->destination != original.destination && now->destination != original.source &&
      !(may_use(now->destination, authorised, reserved) && is_remote_host(now->destination)))
    return Refusal::kDestination;
  if (is_signalling(*now)) return Refusal::kSignalling;
  if (way == Way::kOnward && now->ttl > original.ttl) return Refusal::kTtl;
  return finish_packet(packet, *now) ? Refusal::kNone : Refusal::kUnparsable;
}

Refusal check_emitted(std::span<std::byte>& packet, const std::vector<Prefix>& authorised,
                      const ReservedAddresses& reserved) {
  auto now = parse_packet(packet);
  if (!now || now->fragment || now->ttl == 0) return Refusal::kUnparsable;
  if (!may_use(now->source, authorised, reserved)) return Refusal::kSource;
  if (reserved.contains(now->destination) || !is_remote_host(now->destination)) return Refusal::kDestination;
  if (is_signalling(*now)) return Refusal::kSignalling;
  return finish_packet(packet, *now) ? Refusal::kNone : Refusal::kUnparsable;
}

}  // namespace netserv::forward
