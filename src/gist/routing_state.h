// The routing state table's rows (RFC 5971, 4.2.1): what a Querying-SM and a Responding-SM hold on to.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "gist/cookies.h"
#include "gist/environment.h"
#include "gist/output.h"
#include "gist/querying_sm.h"
#include "gist/responding_sm.h"
#include "gist/routing_key.h"
#include "wire/gist/message.h"
#include "wire/gist_api/api.h"

namespace netserv::gist {

using QueryCookie = std::array<std::byte, 16>;

// What both sides of a hop hold. What every message needs comes first.
struct RoutingState {
  std::uint64_t id = 0;
  RoutingKey key;
  RouteStatus status = RouteStatus::kBad;
  std::uint8_t ip_distance = 0;  // IP hops to the peer, 0: not known
  bool beyond_nat = false;        // the peer is: what its later messages say of their address is its own side's
  SiiHandle sii{};               // the peer; none until it is known
  AssociationId association{};   // 0: D-mode
  std::vector<SendMessage> stored;
  std::unique_ptr<Mri> wire_mri;  // behind a GIST-aware NAT: the MRI that the peer uses, in our direction
};

// What only handshakes look at.
struct Handshake {
  std::vector<QueryCookie> cookies;  // of its Queries
  unsigned sent = 0;                 // Queries
  Duration back_off{};
  TimePoint asked{};                 // when the last Query went
  bool expects_end_host = false;     // the end of the path is known, somebody on it would only be new
  std::optional<TimePoint> give_up;
  Bytes invalidation_data;  // from InvalidateRoutingState, for the next one
  Egress egress;
};

struct Querying : RoutingState {
  QueryingState state = QueryingState::kBirth;
  std::uint8_t hops = 0;
  bool wants_reliable = false;         // an association is needed, ...
  bool wants_secure = false;           // ... and TLS on it
  bool asked_for_association = false;  // the last Query had a Stack-Proposal
  bool source_is_signalling = false;   // S of the last Query
  bool had_upstream = false;           // state towards the flow's other side was there once
  bool handshake_due = false;          // invalidated without urgency: with the next message
  std::uint16_t path_mtu = 0;          // that an ICMP error named, 0: none
  unsigned association_failures = 0;   // in a row
  Duration inactivity{};
  TimePoint inactive_at{};               // not before it
  std::unique_ptr<SendMessage> riding;   // its payload is in the Queries
  std::unique_ptr<Handshake> handshake;  // the last one; never null

  bool wants_association() const { return wants_reliable || wants_secure; }
  // Of any Query of this handshake, not just the last (5.3.3).
  bool has_cookie(const Bytes& cookie) const {
    return std::any_of(handshake->cookies.begin(), handshake->cookies.end(), [&](const QueryCookie& c) {
      return cookie.size() == c.size() && std::equal(c.begin(), c.end(), cookie.begin());
    });
  }
};

// A Query as it arrived, kept while the application thinks.
struct ReceivedQuery {
  Message message;  // hop count as received
  Datagram datagram;
  std::uint8_t ip_distance = 0;
};

// Who a Query says it comes from; to be believed when the Confirm comes.
struct Claimant {
  Nli nli;
  std::uint16_t udp_port = 0;
};

// Most messages of most nodes look one of these up: it fills three lines of the cache, and touches no fourth.
struct alignas(64) Responding : RoutingState {
  RespondingState state = RespondingState::kBirth;
  std::unique_ptr<Claimant> claimant;    // of the last Query, while its Confirm is awaited
  AssociationId response_association{};  // that Query's Response went over it
  std::uint32_t interface = 0;           // where the Query came in
};

}  // namespace netserv::gist
