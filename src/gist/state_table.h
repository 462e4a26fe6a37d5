// Routing states by key and by id, for a hundred thousand of them: a flat index over states that lie side by side and
// never move. A look-up touches the index and the state, whatever the number of states; an id says where its state is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/result.h"
#include "gist/flat_index.h"
#include "gist/routing_key.h"

namespace netserv::gist {

// State has an `id`, 0 in a slot that is free, and a `key`.
template <class State>
class StateTable {
 public:
  explicit StateTable(RoutingKeyHash hash) : hash_(hash) {}

  // Null if there is none. Valid until it is erased.
  State* find(const RoutingKey& key) const {
    return at(by_key_.find(short_hash(key), [&](std::uint32_t s) {
      const State& state = slot(s);
      fetch(state);
      return state.key == key;
    }));
  }
  State* by_id(std::uint64_t id) const {
    const auto s = static_cast<std::uint32_t>(id & FlatIndex::kMaxSlots);
    if (id == 0 || s >= chunks_.size() * kChunk || slot(s).id != id) return nullptr;
    return &slot(s);
  }
  std::size_t size() const { return size_; }
  // How many entries of the index a look-up of this key visits, which must be there.
  std::size_t probes(const RoutingKey& key) const {
    const std::uint32_t hash = short_hash(key);
    return by_key_.probes(hash, by_key_.find(hash, [&](std::uint32_t s) { return slot(s).key == key; }));
  }

  // The key may not be there yet. The state's id is `number`, which is not 0, and below it the state's place: it is as
  // unique as the number, and greater than those with lower numbers.
  State& add(RoutingKey key, std::uint64_t number) {
    if (free_.empty()) add_chunk();
    const std::uint32_t s = free_.back();
    free_.pop_back();
    by_key_.insert(short_hash(key), s, hash_of());
    ++size_;
    State& state = slot(s);
    state.key = std::move(key);
    state.id = number << FlatIndex::kSlotBits | s;
    return state;
  }

  void erase(State& state) {
    const auto s = static_cast<std::uint32_t>(state.id & FlatIndex::kMaxSlots);
    by_key_.erase(short_hash(state.key), s, hash_of());
    state = State{};
    free_.push_back(s);
    --size_;
  }

  // In no particular order. `visit` must not add or erase.
  template <class Visit>
  void each(Visit visit) const {
    for (const auto& chunk : chunks_)
      for (std::size_t i = 0; i < kChunk; ++i)
        if (chunk[i].id != 0) visit(chunk[i]);
  }

 private:
  static constexpr std::uint32_t kChunk = 64;

  std::uint32_t short_hash(const RoutingKey& key) const { return static_cast<std::uint32_t>(hash_(key)); }
  auto hash_of() const {
    return [this](std::uint32_t s) { return short_hash(slot(s).key); };
  }
  State& slot(std::uint32_t s) const { return chunks_[s / kChunk][s % kChunk]; }
  State* at(std::uint32_t s) const { return s == FlatIndex::kNone ? nullptr : &slot(s); }
  // Among many states none is in the caches: all of this one is fetched at once rather than line by line.
  static void fetch(const State& state) {
    const auto* bytes = reinterpret_cast<const char*>(&state);
    for (std::size_t i = 0; i < sizeof(State); i += 64) __builtin_prefetch(bytes + i);
  }
  void add_chunk() {
    const auto first = static_cast<std::uint32_t>(chunks_.size()) * kChunk;
    NETSERV_CHECK(first + kChunk <= FlatIndex::kMaxSlots);
    chunks_.push_back(std::make_unique<State[]>(kChunk));
    for (std::uint32_t i = kChunk; i > 0; --i) free_.push_back(first + i - 1);
  }

  RoutingKeyHash hash_;
  FlatIndex by_key_;
  std::vector<std::unique_ptr<State[]>> chunks_;
  std::vector<std::uint32_t> free_;
  std::size_t size_ = 0;
};

}  // namespace netserv::gist
