#include "gist/peers.h"

#include "base/result.h"

namespace netserv::gist {

SiiHandle Peers::intern(const Peer& peer) {
  if (const auto it = by_peer_.find(peer); it != by_peer_.end()) return it->second;
  while (by_handle_.size() >= capacity_ && !unused_.empty()) {
    const auto old = by_handle_.find(unused_.front());
    unused_.pop_front();
    by_peer_.erase(old->second.peer);
    by_handle_.erase(old);
  }
  const SiiHandle handle(++last_);
  unused_.push_back(handle);
  by_handle_[handle] = {peer, 0, std::prev(unused_.end())};
  by_peer_[peer] = handle;
  return handle;
}

const Peer* Peers::find(SiiHandle handle) const {
  const auto it = by_handle_.find(handle);
  return it == by_handle_.end() ? nullptr : &it->second.peer;
}

void Peers::retain(SiiHandle handle) {
  const auto it = by_handle_.find(handle);
  NETSERV_CHECK(it != by_handle_.end());
  if (it->second.uses++ == 0) unused_.erase(it->second.unused);
}

void Peers::release(SiiHandle handle) {
  const auto it = by_handle_.find(handle);
  if (it == by_handle_.end() || --it->second.uses > 0) return;
  unused_.push_back(handle);
  it->second.unused = std::prev(unused_.end());
}

}  // namespace netserv::gist
