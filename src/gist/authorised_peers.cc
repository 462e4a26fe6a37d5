#include "gist/authorised_peers.h"

#include <algorithm>

namespace netserv::gist {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

// What follows the first label, empty if there is only one.
std::string_view parent(std::string_view name) {
  const std::size_t dot = name.find('.');
  return dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
}

bool wild(std::string_view name) { return name.size() > 2 && name.substr(0, 2) == "*."; }

}  // namespace

bool dns_name_matches(std::string_view pattern, std::string_view name) {
  if (pattern.empty() || name.empty()) return false;
  if (wild(pattern) || wild(name)) {
    const std::string_view rest = parent(pattern);
    return !rest.empty() && same(rest, parent(name));
  }
  return same(pattern, name);
}

bool identity_matches(std::string_view entry, const PeerCredentials& peer) {
  if (entry == "*") return true;
  if (!peer.authenticated) return false;
  if (peer.dns_names.empty()) return dns_name_matches(entry, peer.common_name);
  return std::any_of(peer.dns_names.begin(), peer.dns_names.end(),
                     [&](const std::string& name) { return dns_name_matches(entry, name); });
}

bool AuthorisedPeers::authorised(const PeerCredentials& peer, const IpAddress& address, const Mri& mri) const {
  for (const AuthorisedPeer& e : entries_) {
    if (!identity_matches(e.identity, peer)) continue;
    if (e.peer_address && !e.peer_address->contains(address)) continue;
    if (e.flow_source && !e.flow_source->contains(source_of(mri))) continue;
    if (e.flow_destination && !e.flow_destination->contains(destination_of(mri))) continue;
    return e.allow;
  }
  return false;
}

}  // namespace netserv::gist
