// What a NAT does to the GIST messages that cross it (RFC 5971, 7.2.2 and 7.2.3): the addresses inside them are changed
// as the NAT changes those of the flow. Pure; nothing is stored for a handshake: the NAT-Traversal object that comes
// back in a Response carries, sealed, where that has to go.
//
// Only two kinds of message are touched: Q-mode ones, and D-mode ones with a NAT-Traversal object. All else is ordinary
// traffic for the NAT itself.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "base/result.h"
#include "gist/environment.h"
#include "gist/output.h"
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
  // Both must outlive it.
  Nat(NatBindings bindings, Crypto& crypto, const Network& network);

  enum class Way : std::uint8_t {
    kQuery,    // sent by this node in Q-mode, from the address given, which need not be its own
    kReply,    // sent by this node as it is, from an address that is not its own
    kInPlace,  // the packet goes on through the NAT with this payload
  };
  struct Translated {
    Way way = Way::kInPlace;
    Datagram datagram;
  };
  // Empty: none of its business, or nothing that it could translate, so that it goes on as it came.
  std::optional<Translated> translate(const Datagram& datagram) const;

 private:
  struct Querier {
    IpAddress address;
    std::uint16_t port = 0;
  };
  // From a node inside. Datagrams come before the kernel has looked whether a source fits the interface.
  bool is_from_inside(const Datagram& datagram) const;
  std::optional<Translated> translate_query(const Datagram& datagram, const Message& message) const;
  std::optional<Translated> reply_to_inside(const Datagram& datagram, const Message& message) const;
  std::optional<Translated> reply_to_outside(const Datagram& datagram, const Message& message) const;
  // What a sealed part is good for: this session, and this flow as the querier knows it.
  static Bytes bound_to(const Message& message);
  Bytes seal(const Querier& querier, ByteSpan bound) const;
  std::optional<Querier> unseal(ByteSpan sealed, ByteSpan bound) const;
  Bytes mac(ByteSpan clear, ByteSpan bound) const;

  NatBindings bindings_;
  Crypto& crypto_;
  const Network& network_;
  std::array<std::byte, 32> key_{};
};

}  // namespace netserv::gist
