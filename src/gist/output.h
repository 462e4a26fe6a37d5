// What the core wants done: values that the caller performs in order. The core has changed its state already
// and never waits for them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/strong_id.h"
#include "wire/gist/error_code.h"
#include "wire/gist/types.h"
#include "wire/gist_api/api.h"
#include "wire/ip/address.h"

namespace netserv::gist {

using AssociationId = StrongId<struct AssociationTag, std::uint64_t>;

// A UDP datagram as it came or is to go. In Q-mode it carries a Router Alert Option for the NSLP, and DF.
struct Datagram {
  IpAddress source;
  IpAddress destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t ttl = 0;
  std::uint8_t dscp = 0;
  std::uint32_t flow_label = 0;
  std::uint32_t interface = 0;  // where it came in; to go: 0 lets the route decide
  Bytes payload;                // with the magic number
  Bytes ip_header;              // an intercepted packet's, with options or extension headers: goes on with a
                                // ForwardDatagram as it came; empty for all else
  bool operator==(const Datagram&) const = default;
};

struct SendDatagram {
  Datagram datagram;
  bool query_mode = false;
  NslpId nslp{};  // chooses the Router Alert value in Q-mode
};

// A Query that another node is to get: as it came, with its IP options, TTL already less by one.
struct ForwardDatagram {
  Datagram datagram;
  NslpId nslp{};
};

struct ConnectAssociation {
  AssociationId id{};
  IpAddress address;
  std::uint16_t port = 0;
  bool tls = false;
};
struct SendOnAssociation {
  AssociationId id{};
  Bytes bytes;
};
// After what was sent has gone out. The core knows the association no more.
struct CloseAssociation {
  AssociationId id{};
};

// For logs and counters; nothing needs to be done about it.
struct Event {
  enum class Type : std::uint8_t {
    kStateCreated,
    kStateDeleted,
    kErrorSent,
    kErrorReceived,
    kDropped,
    kCookieRefused,
    kStackTampered,
    kPeerRefused,
    kRateLimited,
    kShareUsedUp,
    kTooLargeForError,
  };
  Type type;
  NslpId nslp{};
  IpAddress peer;
  std::uint16_t code = 0;  // a GIST error's
  std::uint8_t subcode = 0;
  std::string text;
};
std::string_view to_string(Event::Type type);

using Output = std::variant<SendDatagram, ForwardDatagram, ConnectAssociation, SendOnAssociation, CloseAssociation,
                            RecvMessage, MessageStatus, NetworkNotification, Event>;
using Outputs = std::vector<Output>;

}  // namespace netserv::gist
