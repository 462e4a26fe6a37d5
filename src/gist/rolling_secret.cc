#include "gist/rolling_secret.h"

namespace netserv::gist {

const RollingSecret::Secret& RollingSecret::current(TimePoint now) {
  roll(now);
  return *current_;
}

const RollingSecret::Secret* RollingSecret::find(std::uint64_t generation, TimePoint now) {
  roll(now);
  if (current_->generation == generation) return &*current_;
  if (previous_ && previous_->generation == generation) return &*previous_;
  return nullptr;
}

void RollingSecret::roll(TimePoint now) {
  if (current_ && now < rolls_at_) return;
  // After a long silence the previous secret is too old as well.
  previous_ = current_ && now < rolls_at_ + lifetime_ ? current_ : std::nullopt;
  current_ = fresh();
  rolls_at_ = now + lifetime_;
}

RollingSecret::Secret RollingSecret::fresh() {
  Secret s;
  std::array<std::byte, 8> generation;
  crypto_.fill(generation);
  crypto_.fill(s.key);
  s.generation = ByteReader(generation).u64();
  return s;
}

}  // namespace netserv::gist
