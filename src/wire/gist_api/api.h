// The service interface between GIST and signalling applications: RFC 5971, appendix B, as values. Down:
// SendMessage, SetStateLifetime, InvalidateRoutingState, and the answer to a RecvMessage that asks for one.
// Up: RecvMessage, MessageStatus, NetworkNotification.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "wire/gist/mri.h"
#include "wire/gist/types.h"

namespace netserv::gist {

// Names a peer's identity and address; the same for all sessions with that peer. 0 is none.
using SiiHandle = StrongId<struct SiiHandleTag, std::uint64_t>;
// Chosen by the application; 0: no MessageStatus wanted.
using MessageHandle = StrongId<struct MessageHandleTag, std::uint64_t>;
// Of a RecvMessage that waits for an answer.
using QueryTicket = StrongId<struct QueryTicketTag, std::uint64_t>;

// 4.1.2. What is asked for is a minimum; what is reported is what was used.
struct TransferAttributes {
  bool reliable = false;
  bool secure = false;  // integrity and confidentiality, authenticated peers
  // Local processing hints.
  bool stateless = false;  // send in Q-mode, set up no state
  bool in_query = true;    // the payload may ride in a Query, and so arrive more than once
  // Reported on reception only.
  bool explicitly_routed = false;   // B.2: not validated against routing state
  bool state_validated = false;     // delivered in accord with routing state
  bool return_routable = false;     // the peer's address was shown to be reachable
  bool peer_is_flow_endpoint = false;
  bool operator==(const TransferAttributes&) const = default;
};

struct SendMessage {
  Bytes data;  // whole words; the application pads
  MessageHandle handle{};
  NslpId nslp{};
  SessionId session;
  Mri mri;  // with the direction to send in
  SiiHandle sii{};
  TransferAttributes attributes;
  std::optional<Duration> timeout;  // for the handshake that the message waits for
  std::optional<std::uint8_t> ip_ttl;
  std::optional<std::uint8_t> hops;
  bool operator==(const SendMessage&) const = default;
};

struct SetStateLifetime {
  NslpId nslp{};
  Mri mri;
  std::optional<SessionId> session;  // absent: all
  Duration lifetime{};               // 0: no further interest
  bool operator==(const SetStateLifetime&) const = default;
};

enum class RouteStatus : std::uint8_t { kBad, kTentative, kGood };

struct InvalidateRoutingState {
  std::optional<NslpId> nslp;  // absent: all applications
  Mri mri;
  RouteStatus status = RouteStatus::kTentative;  // kBad or kTentative
  Bytes data;                                    // for the next Query
  bool urgent = false;
  bool operator==(const InvalidateRoutingState&) const = default;
};

// The application's answer to a RecvMessage with a ticket.
struct QueryAnswer {
  bool peer = false;           // become the peer, or let the Query pass on
  std::optional<Bytes> data;   // for the Response, or instead of the Query's payload
  bool operator==(const QueryAnswer&) const = default;
};

struct RecvMessage {
  Bytes data;
  NslpId nslp{};
  SessionId session;
  Mri mri;  // as the peer sent it: the message travels in its direction
  std::optional<QueryTicket> check;  // Routing-State-Check: answer with Core::answer_query()
  SiiHandle sii{};
  TransferAttributes attributes;
  std::uint8_t ip_ttl = 0;       // 0: not known
  std::uint8_t ip_distance = 0;  // 0: not known
  std::uint8_t hops = 0;         // after decrementing
  std::uint32_t interface = 0;
  bool operator==(const RecvMessage&) const = default;
};

enum class SendError : std::uint8_t {
  kNone,              // sent; the attributes are those used
  kHopsZero,          // 4.3.3
  kIsDestination,     // 4.3.3: this node is where the message would go
  kBadPayload,        // not whole words, or too long
  kUnknownNslp,
  kNoEncapsulation,   // no Q-mode for this method and direction
  kNoNextNode,        // nobody answered
  kRefused,           // the peer answered with an Error
  kNoAssociation,     // none fits the attributes, or it could not be set up
  kLost,              // the association failed; reliable messages may not have arrived
  kOverload,          // a limit of this node
  kUnknownSii,
  kTooLarge,          // for D-mode, and no association may be used
  kTimeout,
  kUnreachable,       // no route or address
};
std::string_view to_string(SendError error);

struct MessageStatus {
  MessageHandle handle{};
  NslpId nslp{};
  TransferAttributes attributes;
  SendError error = SendError::kNone;
  std::uint16_t gist_code = 0;  // of the Error that caused kRefused
  std::uint8_t gist_subcode = 0;
  bool operator==(const MessageStatus&) const = default;
};

struct NetworkNotification {
  enum class Type : std::uint8_t {
    kLastNode,
    kRoutingStatus,
    kRouteDeletion,
    kAuthorisationChange,
    kCommunicationFailure,
  };
  NslpId nslp{};
  SessionId session;
  Mri mri;
  Type type = Type::kRoutingStatus;
  RouteStatus status = RouteStatus::kGood;  // with kRoutingStatus
  SiiHandle sii{};                          // of the peer, with kRoutingStatus kGood and kRouteDeletion
  bool operator==(const NetworkNotification&) const = default;
};
std::string_view to_string(NetworkNotification::Type type);

}  // namespace netserv::gist
