// Peers by SII-handle: one handle for each (identity, address, port), however many sessions share the peer.
// Handles that routing state holds on to stay; of the others the oldest go when there are too many.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <tuple>
#include <unordered_map>

#include "wire/gist_api/api.h"
#include "wire/ip/address.h"

namespace netserv::gist {

struct Peer {
  Bytes identity;
  IpAddress address;
  std::uint16_t udp_port = 0;  // where it takes D-mode messages
  auto operator<=>(const Peer&) const = default;
};

class Peers {
 public:
  explicit Peers(std::size_t capacity) : capacity_(capacity) {}

  SiiHandle intern(const Peer& peer);
  // Null for a handle that was never given out or is forgotten. Valid until the next intern().
  const Peer* find(SiiHandle handle) const;
  void retain(SiiHandle handle);
  void release(SiiHandle handle);
  std::size_t size() const { return by_handle_.size(); }

 private:
  struct Entry {
    Peer peer;
    std::size_t uses = 0;
    std::list<SiiHandle>::iterator unused;  // valid if uses == 0
  };

  std::size_t capacity_;
  std::uint64_t last_ = 0;
  std::unordered_map<SiiHandle, Entry> by_handle_;
  std::map<Peer, SiiHandle> by_peer_;
  std::list<SiiHandle> unused_;  // oldest first
};

}  // namespace netserv::gist
