#include "plane/ring_port.h"

#include <algorithm>
#include <array>

namespace netserv::plane {

std::size_t RingPort::reap(std::span<forward::PortAnswer> out) {
  std::array<ring::Reaped, 64> reaped;
  std::size_t n = ring_->reap(std::span(reaped).first(std::min(out.size(), reaped.size())));
  for (std::size_t i = 0; i < n; ++i)
    out[i] = {reaped[i].slot, reaped[i].length, reaped[i].verdict, reaped[i].changed, reaped[i].skipped};
  return n;
}

}  // namespace netserv::plane
