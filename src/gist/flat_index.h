// A hash index of slot numbers, open addressing in one array of eight bytes an entry: a look-up among many touches a
// cache line or two of it. Whoever owns the slots compares the keys. Hashes must not be predictable for a stranger.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace netserv::gist {

class FlatIndex {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  // The slot with this hash for which same(slot) holds.
  template <class Same>
  std::uint32_t find(std::uint32_t hash, Same same) const {
    if (entries_.empty()) return kNone;
    for (std::size_t at = hash & mask();; at = (at + 1) & mask()) {
      const Entry& e = entries_[at];
      if (e.slot == kNone) return kNone;
      if (e.hash == hash && same(e.slot)) return e.slot;
    }
  }

  // How many entries find() looks at for this slot, which must be there.
  std::size_t probes(std::uint32_t hash, std::uint32_t slot) const {
    std::size_t n = 1;
    for (std::size_t at = hash & mask(); entries_[at].slot != slot; at = (at + 1) & mask()) ++n;
    return n;
  }

  void insert(std::uint32_t hash, std::uint32_t slot) {
    if ((used_ + 1) * 4 > entries_.size() * 3) grow();
    place({hash, slot});
    ++used_;
  }

  // It must be there. Entries behind it move up, so that no look-up stops too early and nothing is left to clear.
  void erase(std::uint32_t hash, std::uint32_t slot) {
    std::size_t hole = hash & mask();
    while (entries_[hole].slot != slot) hole = (hole + 1) & mask();
    for (std::size_t at = (hole + 1) & mask(); entries_[at].slot != kNone; at = (at + 1) & mask()) {
      const std::size_t home = entries_[at].hash & mask();
      const bool must_stay = ((at - home) & mask()) < ((at - hole) & mask());
      if (must_stay) continue;
      entries_[hole] = entries_[at];
      hole = at;
    }
    entries_[hole] = {};
    --used_;
  }

 private:
  struct Entry {
    std::uint32_t hash = 0;
    std::uint32_t slot = kNone;
  };

  std::size_t mask() const { return entries_.size() - 1; }
  void place(Entry e) {
    std::size_t at = e.hash & mask();
    while (entries_[at].slot != kNone) at = (at + 1) & mask();
    entries_[at] = e;
  }
  void grow() {
    std::vector<Entry> old(entries_.empty() ? 16 : entries_.size() * 2);
    old.swap(entries_);
    for (const Entry& e : old)
      if (e.slot != kNone) place(e);
  }

  std::vector<Entry> entries_;
  std::size_t used_ = 0;
};

}  // namespace netserv::gist
