#include "plane/xdp/filter_maps.h"

#include <arpa/inet.h>

#include <algorithm>

namespace netserv::plane {
namespace {

bool same_shape(const nsx_shape& a, const nsx_shape& b) { return std::memcmp(&a, &b, sizeof a) == 0; }

void put_mask(__u32 (&out)[4], const std::optional<Prefix>& prefix) {
  unsigned left = prefix ? prefix->length() : 0;
  for (__u32& word : out) {
    unsigned bits = std::min(left, 32u);
    word = bits == 0 ? 0 : htonl(0xffffffffu << (32 - bits));
    left -= bits;
  }
}

nsx_shape shape_of(const Filter& f, std::uint8_t family) {
  nsx_shape shape{};
  shape.family = family;
  shape.has_protocol = f.protocol ? 1 : 0;
  shape.has_port = f.destination_port ? 1 : 0;
  put_mask(shape.source_mask, f.source);
  put_mask(shape.destination_mask, f.destination);
  return shape;
}

nsx_key key_of(const Filter& f, __u32 shape) {
  nsx_key key{};
  key.shape = shape;
  key.protocol = f.protocol.value_or(0);
  key.port = htons(f.destination_port.value_or(0));
  auto copy = [](__u32 (&out)[4], const std::optional<Prefix>& prefix) {
    if (prefix) std::memcpy(out, prefix->address().bytes().data(), prefix->address().bytes().size());
  };
  copy(key.source, f.source);
  copy(key.destination, f.destination);
  return key;
}

// 4, 6 or both; none if source and destination contradict each other (such a filter matches nothing).
std::vector<std::uint8_t> families_of(const Filter& f) {
  auto fits = [](const std::optional<Prefix>& p, bool v4) { return !p || p->address().is_v4() == v4; };
  std::vector<std::uint8_t> out;
  if (fits(f.source, true) && fits(f.destination, true)) out.push_back(4);
  if (fits(f.source, false) && fits(f.destination, false)) out.push_back(6);
  return out;
}

// Several modules may have the same filter: the kernel needs the most that any of them wants, and the headers.
void merge(nsx_value& into, const forward::Wanted& f) {
  if (!f.observer) {
    into.in_path |= f.fail_closed ? NSX_IN_PATH | NSX_FAIL_CLOSED : NSX_IN_PATH;
    return;
  }
  bool first = into.observed == 0;
  into.observed = 1;
  into.snap_length = std::max<__u32>(into.snap_length, f.snap_length == 0 ? NSX_SNAP_MAX
                                                                         : std::max<__u32>(f.snap_length, NSX_SNAP_SMALL));
  into.sample_one_in = first ? f.sample_one_in : std::min(into.sample_one_in, f.sample_one_in);
}

}  // namespace

Status FilterMaps::replace(std::span<const forward::Wanted> filters) {
  std::vector<nsx_shape> wanted;
  for (const forward::Wanted& f : filters) {
    for (std::uint8_t family : families_of(f.filter)) {
      nsx_shape shape = shape_of(f.filter, family);
      if (std::none_of(wanted.begin(), wanted.end(), [&](const nsx_shape& w) { return same_shape(w, shape); }))
        wanted.push_back(shape);
    }
  }
  if (wanted.size() > NSX_MAX_SHAPES)
    return fail(Origin::kOperator, "filters",
                "more than 64 combinations of fields and prefix lengths; use prefixes of the same length");

  auto shapes = shapes_;
  auto index_of = [&](const nsx_shape& shape) {
    return std::find_if(shapes.begin(), shapes.end(), [&](const nsx_shape& s) { return same_shape(s, shape); });
  };
  for (nsx_shape& s : shapes) {
    bool kept = std::any_of(wanted.begin(), wanted.end(), [&](const nsx_shape& w) { return same_shape(w, s); });
    if (!kept) s = nsx_shape{};
  }
  for (const nsx_shape& w : wanted)
    if (index_of(w) == shapes.end()) *index_of(nsx_shape{}) = w;

  FilterKeys keys;
  for (const forward::Wanted& f : filters)
    for (std::uint8_t family : families_of(f.filter)) {
      auto shape = static_cast<__u32>(index_of(shape_of(f.filter, family)) - shapes.begin());
      merge(keys[key_of(f.filter, shape)], f);
    }
  if (keys.size() > NSX_MAX_FILTERS) return fail(Origin::kOperator, "filters", "more than 65536 of them");
  shapes_ = shapes;
  keys_ = std::move(keys);
  return {};
}

std::uint32_t FilterMaps::shape_count() const {
  std::uint32_t count = NSX_MAX_SHAPES;
  while (count > 0 && shapes_[count - 1].family == 0) --count;
  return count;
}

}  // namespace netserv::plane
