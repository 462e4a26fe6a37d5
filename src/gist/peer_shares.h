// How many routing states each peer has confirmed: so that one, whose address is real, can't fill the table (RFC 5971, 8.4).
// A peer with IPv6 has a whole /64 to take its addresses from, which counts as one.
#pragma once

#include <cstddef>
#include <map>

#include "wire/ip/address.h"

namespace netserv::gist {

class PeerShares {
 public:
  explicit PeerShares(std::size_t most) : most_(most) {}

  bool used_up(const IpAddress& peer) const {
    const auto it = held_.find(whose(peer));
    return it != held_.end() && it->second >= most_;
  }
  static bool same(const IpAddress& a, const IpAddress& b) { return whose(a) == whose(b); }
  void add(const IpAddress& peer) { ++held_[whose(peer)]; }
  // One that was added.
  void remove(const IpAddress& peer) {
    const auto it = held_.find(whose(peer));
    if (--it->second == 0) held_.erase(it);
  }

 private:
  static Prefix whose(const IpAddress& peer) { return Prefix(peer, peer.is_v4() ? 32 : 64); }

  std::size_t most_;
  std::map<Prefix, std::size_t> held_;
};

}  // namespace netserv::gist
