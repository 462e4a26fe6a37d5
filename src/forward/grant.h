// What a container may send: the checks on packets that a module changed or made, always on the forwarder's own
// copy (semantics.md, "Packets"). Its rates are in allowance.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "forward/reserved.h"
#include "wire/ip/address.h"
#include "wire/ip/packet.h"

namespace netserv::forward {

enum class Refusal : std::uint8_t { kNone, kUnparsable, kSource, kDestination, kSignalling, kTtl };
// Where a changed packet goes: on its way, or back as a reply.
enum class Way : std::uint8_t { kOnward, kBack };
inline constexpr std::uint16_t kSignallingPort = 270;  // GIST, RFC 5971

// A packet with new bytes. Source: as it was, or authorised. Destination: as it was, authorised, or the original
// source. A new address is no reserved one. Its IP version stays; it is no fragment and no signalling; on its way
// onward its TTL is no higher than it came with, or it could go round for ever. On success `packet` is cut to its IP
// length and has its checksums made.
Refusal check_changed(std::span<std::byte>& packet, const PacketHeaders& original,
                      const std::vector<Prefix>& authorised, const ReservedAddresses& reserved, Way way);
// A packet of a module's own: its source is authorised and not reserved. Its destination is a host elsewhere: not
// reserved, loopback, link-local, multicast or broadcast. It is no signalling.
Refusal check_emitted(std::span<std::byte>& packet, const std::vector<Prefix>& authorised,
                      const ReservedAddresses& reserved);
bool is_signalling(const PacketHeaders& packet);

}  // namespace netserv::forward
