// Which containers and modules want a packet. Filters that test the same fields with the same prefix lengths
// have one shape; a look-up masks the packet's fields once a shape and asks one hash table, so its cost does not
// depend on the number of filters of a shape. Shapes are capped.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "base/result.h"
#include "wire/ip/packet.h"
#include "wire/ipc/forwarder_messages.h"

namespace netserv::forward {

class FilterTable {
 public:
  static constexpr std::size_t kMaxShapes = 64;

  struct Target {
    std::uint32_t lane = 0;  // the container's place in the forwarder
    std::uint32_t filter = 0;  // place in that container's list
    ModuleSlot slot;
    bool fail_closed = false;
    bool observer = false;
    std::uint16_t snap_length = 0;
    std::uint32_t sample_one_in = 1;
  };

  // Replaces a lane's filters by these; on an error nothing has changed. An empty list removes the lane.
  Status replace(std::uint32_t lane, std::vector<ipc::ModuleFilter> filters);

  // Calls hit(const Target&) for every matching filter, in no particular order.
  template <class Hit>
  void match(const PacketHeaders& packet, Hit&& hit) const {
    if (shapes_.empty()) return;
    Key whole = key_of(packet);
    for (const Shape& shape : shapes_) {
      Key key = masked(whole, shape.mask);
      for (std::uint64_t at = hash(key);; ++at) {
        std::uint32_t row = shape.index[at & (shape.index.size() - 1)];
        if (row == kNoRow) break;
        if (!same(shape.rows[row].key, key)) continue;
        hit(shape.rows[row].first);
        for (const Target& target : shape.rows[row].others) hit(target);
        break;
      }
    }
  }

  std::size_t shapes() const { return shapes_.size(); }
  const std::vector<ipc::ModuleFilter>& filters(std::uint32_t lane) const;

 private:
  // Word 0: protocol, destination port, family, "has ports"; 1-2 source; 3-4 destination.
  using Key = std::array<std::uint64_t, 5>;
  static constexpr std::uint32_t kNoRow = 0xffffffff;
  struct Row {
    Key key;
    Target first;  // mostly the only one: beside the key, not a look at other memory away
    std::vector<Target> others;
  };
  struct Shape {
    Key mask;
    std::vector<Row> rows;
    std::vector<std::uint32_t> index;  // open addressing, a power of two, at most half full
  };
  struct Masked {
    Key mask, key;
  };
  static Key masked(const Key& key, const Key& mask) {
    return {key[0] & mask[0], key[1] & mask[1], key[2] & mask[2], key[3] & mask[3], key[4] & mask[4]};
  }
  // In registers; operator== is a call of memcmp.
  static bool same(const Key& a, const Key& b) {
    return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4])) == 0;
  }
  static std::uint64_t hash(const Key& key) {
    std::uint64_t h = 0x9e3779b97f4a7c15;
    for (std::uint64_t word : key) {
      h = (h ^ word) * 0xff51afd7ed558ccd;
      h ^= h >> 32;
    }
    return h;
  }
  static Key key_of(const PacketHeaders& packet);
  static Masked shape_of(const Filter& filter);
  using Lists = std::map<std::uint32_t, std::vector<ipc::ModuleFilter>>;
  static Result<std::vector<Shape>> build(const Lists& lists);

  Lists lists_;
  std::vector<Shape> shapes_;
};

}  // namespace netserv::forward
