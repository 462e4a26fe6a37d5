// From filters to the keys and shapes of the XDP program's maps. Pure; program.h writes them to the kernel.
#pragma once

#include <array>
#include <compare>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "forward/packet_plane.h"
#include "plane/xdp/common.h"

namespace netserv::plane {

struct KeyLess {
  bool operator()(const nsx_key& a, const nsx_key& b) const { return std::memcmp(&a, &b, sizeof a) < 0; }
};
using FilterKeys = std::map<nsx_key, nsx_value, KeyLess>;

// Shapes keep their index as long as any filter has them, so that keys of other filters stay valid while some
// are added and removed under traffic.
class FilterMaps {
 public:
  // The keys for `filters`; a filter without a prefix that says IPv4 or IPv6 stands for both. An error, and
  // nothing changed, if they have more than NSX_MAX_SHAPES shapes or NSX_MAX_FILTERS keys.
  Status replace(std::span<const forward::Wanted> filters);

  const FilterKeys& keys() const { return keys_; }
  // family 0: unused; count() covers the last one in use.
  const std::array<nsx_shape, NSX_MAX_SHAPES>& shapes() const { return shapes_; }
  std::uint32_t shape_count() const;

 private:
  FilterKeys keys_;
  std::array<nsx_shape, NSX_MAX_SHAPES> shapes_{};
};

}  // namespace netserv::plane
