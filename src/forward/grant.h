// What a container may send: the checks on packets that a module changed or made, always on the forwarder's own
// copy (semantics.md, "Packets"), and the publisher's rates.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "base/time.h"
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

// `rate` a second on average, a tenth of a second's worth (at least `least_burst`) at once; 0: none ever. Packets or
// bytes: the caller's choice. What is taken at once must be no more than the least burst, or it may never be given.
class TokenBucket {
 public:
  explicit TokenBucket(std::uint32_t least_burst = 32) : least_burst_(least_burst) {}
  void set_rate(std::uint64_t per_second) {
    rate_ = per_second;
    tokens_ = std::min(tokens_, burst());
  }
  bool take(TimePoint now, std::uint32_t n = 1) {
    if (rate_ == 0) return false;
    if (!started_) {
      started_ = true;
      tokens_ = burst();
    } else if (now > last_) {
      tokens_ = std::min(burst(), tokens_ + std::chrono::duration<double>(now - last_).count() * static_cast<double>(rate_));
    }
    last_ = std::max(last_, now);
    if (tokens_ < n) return false;
    tokens_ -= n;
    return true;
  }

 private:
  double burst() const { return std::max<double>(least_burst_, static_cast<double>(rate_) / 10); }
  std::uint32_t least_burst_;
  std::uint64_t rate_ = 0;
  double tokens_ = 0;
  bool started_ = false;
  TimePoint last_{};
};

}  // namespace netserv::forward
