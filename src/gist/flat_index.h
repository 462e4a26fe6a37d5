// A hash index of slot numbers, open addressing in one array of four bytes an entry, so that the index of a hundred thousand
// slots stays in a cache that they do not fit in. An entry is a slot's number and a part of its hash. Whoever owns the
// slots compares the keys, and says a slot's whole hash again when the index grows or loses an entry. Hashes must not be
// predictable for a stranger.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace netserv::gist {

class FlatIndex {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;
  static constexpr unsigned kSlotBits = 20;
  static constexpr std::uint32_t kMaxSlots = (1u << kSlotBits) - 1;  // one number less: kNone is an empty entry

  // The slot with this hash for which same(slot) holds.
  template <class Same>
  std::uint32_t find(std::uint32_t hash, Same same) const {
    if (entries_.empty()) return kNone;
    for (std::size_t at = hash & mask();; at = (at + 1) & mask()) {
      const std::uint32_t e = entries_[at];
      if (e == kNone) return kNone;
      if (tag(e) == tag(hash) && same(slot(e))) return slot(e);
    }
  }
  // How many entries find() looks at for this slot, which must be there.
  std::size_t probes(std::uint32_t hash, std::uint32_t s) const {
    return ((place_of(hash, s) - hash) & mask()) + 1;
  }

  // `slot` is less than kMaxSlots; hash_of(slot) is the hash of one that is there already.
  template <class HashOf>
  void insert(std::uint32_t hash, std::uint32_t slot, HashOf hash_of) {
    if ((used_ + 1) * 5 > entries_.size() * 4) grow(hash_of);
    place(hash, slot);
    ++used_;
  }

  // It must be there. Entries behind it move up, so that no look-up stops too early and nothing is left to clear.
  template <class HashOf>
  void erase(std::uint32_t hash, std::uint32_t s, HashOf hash_of) {
    std::size_t hole = place_of(hash, s);
    for (std::size_t at = (hole + 1) & mask(); entries_[at] != kNone; at = (at + 1) & mask()) {
      const std::size_t home = hash_of(slot(entries_[at])) & mask();
      const bool must_stay = ((at - home) & mask()) < ((at - hole) & mask());
      if (must_stay) continue;
      entries_[hole] = entries_[at];
      hole = at;
    }
    entries_[hole] = kNone;
    --used_;
  }

 private:
  // The highest bits of the hash: the lowest say where the entry belongs.
  static std::uint32_t tag(std::uint32_t hash_or_entry) { return hash_or_entry >> kSlotBits; }
  static std::uint32_t slot(std::uint32_t entry) { return entry & kMaxSlots; }

  std::size_t mask() const { return entries_.size() - 1; }
  std::size_t place_of(std::uint32_t hash, std::uint32_t s) const {
    std::size_t at = hash & mask();
    while (slot(entries_[at]) != s) at = (at + 1) & mask();
    return at;
  }
  void place(std::uint32_t hash, std::uint32_t s) {
    std::size_t at = hash & mask();
    while (entries_[at] != kNone) at = (at + 1) & mask();
    entries_[at] = tag(hash) << kSlotBits | s;
  }
  template <class HashOf>
  void grow(HashOf hash_of) {
    std::vector<std::uint32_t> old(entries_.empty() ? 16 : entries_.size() * 2, kNone);
    old.swap(entries_);
    for (const std::uint32_t e : old)
      if (e != kNone) place(hash_of(slot(e)), slot(e));
  }

  std::vector<std::uint32_t> entries_;
  std::size_t used_ = 0;
};

}  // namespace netserv::gist
