// The authorised peer database (RFC 5971, 4.4.2) and how a TLS identity is compared with its entries (5.7.3.1).
// An ordered list: the first entry whose identity and scope match decides; none: refused.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gist/environment.h"

namespace netserv::gist {

struct AuthorisedPeer {
  // A DNS name, "*.example.com", or "*" for any peer whatsoever, also one that has no authenticated name.
  std::string identity;
  bool allow = true;
  // The scope; absent: anything.
  std::optional<Prefix> peer_address;
  std::optional<Prefix> flow_source;
  std::optional<Prefix> flow_destination;
  bool operator==(const AuthorisedPeer&) const = default;
};

// Case-insensitive; "*" may be the left-most label of either side and stands for exactly one label.
bool dns_name_matches(std::string_view pattern, std::string_view name);
// dNSName entries if there are any, else the common name.
bool identity_matches(std::string_view entry, const PeerCredentials& peer);

class AuthorisedPeers final : public PeerAuthority {
 public:
  AuthorisedPeers() = default;
  explicit AuthorisedPeers(std::vector<AuthorisedPeer> entries) : entries_(std::move(entries)) {}
  // Call Core::authorisation_changed() afterwards.
  void replace(std::vector<AuthorisedPeer> entries) { entries_ = std::move(entries); }
  const std::vector<AuthorisedPeer>& entries() const { return entries_; }

  bool authorised(const PeerCredentials& peer, const IpAddress& peer_address, const Mri& mri) const override;

 private:
  std::vector<AuthorisedPeer> entries_;
};

}  // namespace netserv::gist
