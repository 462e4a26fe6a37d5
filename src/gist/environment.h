// What the core needs from outside, in its words. All calls are synchronous, cheap and without side effects
// that the core would see.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "wire/gist/mri.h"
#include "wire/ip/address.h"

namespace netserv::gist {

using Digest = std::array<std::byte, 32>;

// Cookies rest on both: fill() must be cryptographically strong, hmac() an HMAC-SHA-256 or as good.
class Crypto {
 public:
  virtual ~Crypto() = default;
  virtual void fill(std::span<std::byte> out) = 0;
  virtual Digest hmac(ByteSpan key, ByteSpan data) = 0;
};

// An interface that signalling towards some address leaves by.
struct Egress {
  std::uint32_t interface = 0;
  IpAddress address;           // ours on it: unicast, routable, of the destination's IP version
  std::uint16_t mtu = 1500;
  IpAddress next_hop;          // unspecified if not known
  bool operator==(const Egress&) const = default;
};

// The node's view of addresses and routes.
class Network {
 public:
  virtual ~Network() = default;
  virtual bool is_local(const IpAddress& address) const = 0;
  // How a packet of the flow from `source` to `destination` would leave; empty without a route.
  virtual std::optional<Egress> route(const IpAddress& destination, const IpAddress& source) const = 0;
  // Whether packets from all of `source` may come in by the interface (5.8.1.2).
  virtual bool ingress_allowed(const Prefix& source, std::uint32_t interface) const = 0;
  // Path MTU to a peer if it is known.
  virtual std::optional<std::uint16_t> path_mtu(const IpAddress& peer) const = 0;
};

// What a messaging association's security protocol showed about the peer.
struct PeerCredentials {
  bool authenticated = false;
  std::vector<std::string> dns_names;  // subjectAltName, as in the certificate
  std::string common_name;             // the most specific one
};

// The authorised peer database (4.4.2).
class PeerAuthority {
 public:
  virtual ~PeerAuthority() = default;
  virtual bool authorised(const PeerCredentials& peer, const IpAddress& peer_address, const Mri& mri) const = 0;
};

}  // namespace netserv::gist
