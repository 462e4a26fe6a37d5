// How often each (source, destination, TTL) was seen: a bounded table with one multiplication and, mostly, one
// look per packet.
//
// Rows lie in one of the kProbe places from their hash on; a packet whose places are all taken by others is
// counted as overflow instead. A row not seen for kForgetAfter reports is forgotten, which makes room.
#ifndef NETMONITOR_TABLE_H
#define NETMONITOR_TABLE_H

#include <stdint.h>

namespace netmonitor {

// Both as they lie in the packet.
struct __attribute__((packed, aligned(4))) Ipv4Key {
  uint64_t addresses;  // source, destination
  uint32_t ttl;
  bool operator==(const Ipv4Key& o) const { return addresses == o.addresses && ttl == o.ttl; }
  uint64_t hash() const { return (addresses ^ uint64_t{ttl} << 40) * 0x9e3779b97f4a7c15u; }
  const uint8_t* source_bytes() const { return reinterpret_cast<const uint8_t*>(&addresses); }
  const uint8_t* destination_bytes() const { return source_bytes() + 4; }
};
struct Ipv6Key {
  uint64_t source[2], destination[2];
  uint32_t ttl;
  bool operator==(const Ipv6Key& o) const {
    return source[0] == o.source[0] && source[1] == o.source[1] && destination[0] == o.destination[0] &&
           destination[1] == o.destination[1] && ttl == o.ttl;
  }
  uint64_t hash() const {
    uint64_t h = (source[0] ^ ttl) * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 32 ^ source[1]) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 32 ^ destination[0]) * 0x94d049bb133111ebu;
    return (h ^ h >> 32 ^ destination[1]) * 0x9e3779b97f4a7c15u;
  }
  const uint8_t* source_bytes() const { return reinterpret_cast<const uint8_t*>(source); }
  const uint8_t* destination_bytes() const { return reinterpret_cast<const uint8_t*>(destination); }
};

inline constexpr uint32_t kProbe = 8;
inline constexpr uint32_t kForgetAfter = 120;  // reports; a minute of them

template <class Key, uint32_t kBits>
class Table {
 public:
  static constexpr uint32_t kRows = 1u << kBits;
  struct Row {
    Key key;
    uint32_t idle;      // reports since it was last seen
    uint64_t count;     // since the row was made; 0 for an empty row
    uint64_t reported;  // count at the last report
  };

  // False if there was no room. All inlined, so that the key stays in registers.
  __attribute__((always_inline)) bool count(const Key& key) {
    uint32_t first = static_cast<uint32_t>(key.hash() >> (64 - kBits));
    Row& row = rows_[first];
    if (__builtin_expect(row.count != 0 && row.key == key, 1)) {
      row.count++;
      return true;
    }
    return count_slowly(key, first);
  }

  Row* begin() { return rows_; }
  Row* end() { return rows_ + kRows; }

 private:
  __attribute__((always_inline)) bool count_slowly(const Key& key, uint32_t first) {
    Row* empty = nullptr;
    for (uint32_t i = 0; i < kProbe; i++) {
      Row& row = rows_[(first + i) & (kRows - 1)];
      if (row.count == 0) {
        if (!empty) empty = &row;
      } else if (row.key == key) {
        row.count++;
        return true;
      }
    }
    if (!empty) return false;
    *empty = Row{key, 0, 1, 0};
    return true;
  }

  Row rows_[kRows];
};

}  // namespace netmonitor

#endif  // NETMONITOR_TABLE_H
