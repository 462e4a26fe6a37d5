// What a routing state is looked up by (RFC 5971, 4.2.1). The MRI has the direction in which this node sends.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "wire/gist/mri.h"
#include "wire/gist/types.h"

namespace netserv::gist {

struct RoutingKey {
  Mri mri;
  SessionId session;
  NslpId nslp{};
  bool operator==(const RoutingKey&) const = default;
};

// Keyed by a secret: strangers choose sessions and flows, and must not be able to choose ones that collide.
class RoutingKeyHash {
 public:
  using Seed = std::array<std::uint64_t, 2>;
  explicit RoutingKeyHash(const Seed& seed) : seed_(seed) {}
  std::size_t operator()(const RoutingKey& key) const;

 private:
  Seed seed_;
};

}  // namespace netserv::gist
