// What a NAT does to the GIST messages that cross it (RFC 5971, 7.2.2 and 7.2.3): the addresses inside them are changed
// as the NAT changes those of the flow. Pure; nothing is stored for a handshake: the NAT-Traversal object that comes
// back in a Response carries, sealed, where that has to go.
//
// Only two kinds of message are touched: Q-mode ones, and D-mode ones with a NAT-Traversal object. All else is ordinary
// traffic for the NAT itself.
#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "gist/config.h"
#include "gist/environment.h"
#include "gist/output.h"
#include "gist/rolling_secret.h"
#include "gist/token_bucket.h"
#include "wire/gist/message.h"

namespace netserv::gist {

// What the NAT does to flows, as its operator set it up.
struct NatBindings {
  IpAddress outside;                 // the source of all that leaves
  std::vector<Prefix> inside;        // what leaves from there gets that source
  std::optional<IpAddress> exposed;  // where what comes to `outside` ends, its ports unchanged
  // A TCP port of `outside` that leads to a port of a node inside.
  struct Door {
    std::uint16_t outside_port = 0;
    IpAddress inside;
    std::uint16_t inside_port = 0;
    bool operator==(const Door&) const = default;
  };
  std::vector<Door> doors;

  bool is_inside(const IpAddress& address) const;
};

class Nat {
 public:
  // Of `config` it takes what holds for intercepted packets and cookies. The other two must outlive it.
  Nat(NatBindings bindings, const Config& config, Crypto& crypto, const Network& network);

  enum class Way : std::uint8_t {
    kQuery,    // sent by this node in Q-mode, from the address given, which need not be its own
    kReply,    // sent by this node as it is, from an address that is not its own
    kInPlace,  // the packet goes on through the NAT with this payload
    kDrop,     // there are more than may be looked at
  };
  struct Translated {
    Way way = Way::kInPlace;
    Datagram datagram;
  };
  // Empty: none of its business, or nothing that it could translate, so that it goes on as it came.
  std::optional<Translated> translate(const Datagram& datagram, TimePoint now);

 private:
  struct Querier {
    IpAddress address;
    std::uint16_t port = 0;
  };
  // From a node inside. Datagrams come before the kernel has looked whether a source fits the interface.
  bool is_from_inside(const Datagram& datagram) const;
  std::optional<Translated> translate_query(const Datagram& datagram, const Message& message, TimePoint now);
  std::optional<Translated> reply_to_inside(const Datagram& datagram, const Message& message, TimePoint now);
  std::optional<Translated> reply_to_outside(const Datagram& datagram, const Message& message) const;
  // What a sealed part is good for: this session, and this flow as the querier knows it.
  static Bytes bound_to(const Message& message);
  Bytes seal(const Querier& querier, ByteSpan bound, TimePoint now);
  // Null: another NAT's, or too old.
  const RollingSecret::Secret* secret_of(ByteSpan sealed, TimePoint now);
  std::optional<Querier> unseal(const RollingSecret::Secret& secret, ByteSpan sealed, ByteSpan bound) const;
  Bytes mac(const RollingSecret::Secret& secret, ByteSpan clear, ByteSpan bound) const;

  NatBindings bindings_;
  Crypto& crypto_;
  const Network& network_;
  RollingSecret secret_;
  TokenBucket bucket_;
};

}  // namespace netserv::gist
