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

}  // namespace

Refusal check_changed(std::span<std::byte>& packet, const PacketHeaders& original,
                      const std::vector<Prefix>& authorised) {
  auto now = parse_packet(packet);
  if (!now || now->fragment || now->ttl == 0 || now->source.is_v4() != original.source.is_v4())
    return Refusal::kUnparsable;
  if (now->source != original.source && !covered(authorised, now->source)) return Refusal::kSource;
  if (now->destination != original.destination && now->destination != original.source &&
      !covered(authorised, now->destination))
    return Refusal::kDestination;
  return finish_packet(packet, *now) ? Refusal::kNone : Refusal::kUnparsable;
}

Refusal check_emitted(std::span<std::byte>& packet, const std::vector<Prefix>& authorised) {
  auto now = parse_packet(packet);
  if (!now || now->fragment || now->ttl == 0) return Refusal::kUnparsable;
  if (!covered(authorised, now->source)) return Refusal::kSource;
  return finish_packet(packet, *now) ? Refusal::kNone : Refusal::kUnparsable;
}

}  // namespace netserv::forward
