// A secret that rolls over (RFC 5971, 8.5). The current one and the one before count; what was made with either says which
// by the secret's random generation number. Not made before it is needed.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/time.h"
#include "gist/environment.h"

namespace netserv::gist {

class RollingSecret {
 public:
  struct Secret {
    std::uint64_t generation = 0;
    std::array<std::byte, 32> key{};
  };
  // `crypto` must outlive it.
  RollingSecret(Crypto& crypto, Duration lifetime) : crypto_(crypto), lifetime_(lifetime) {}

  // Valid until the next call of either.
  const Secret& current(TimePoint now);
  // Null if it is neither of the two.
  const Secret* find(std::uint64_t generation, TimePoint now);

 private:
  void roll(TimePoint now);
  Secret fresh();

  Crypto& crypto_;
  Duration lifetime_;
  std::optional<Secret> current_, previous_;
  TimePoint rolls_at_{};
};

}  // namespace netserv::gist
