// The Querying-SM of RFC 5971, 6.2 (figure 7): creates and refreshes routing state towards the next peer.
//
//   Birth -tg_NSLPData-> AwaitingResponse -rx_Response-> Established <-> AwaitingRefresh; all -> Dead
//
// Events beyond the figure are route changes (7.1.3), a handshake that an Error message or an ICMP error ended,
// and the loss of the messaging association.
#pragma once

#include "gist/machine.h"

namespace netserv::gist {

enum class QueryingState : std::uint8_t { kBirth, kAwaitingResponse, kEstablished, kAwaitingRefresh, kDead, kCount };

enum class QueryingEvent : std::uint8_t {
  kNslpData,         // tg_NSLPData
  kResponse,         // rx_Response, its cookie verified
  kData,             // rx_Data
  kNoResponse,       // to_No_Response [!nResp_reached]
  kNoResponseLimit,  // to_No_Response [nResp_reached]
  kNoRoutingState,   // er_NoRSM
  kRefresh,          // to_Refresh_QNode
  kInactive,         // to_Inactive_QNode, or the application wants the state no more
  kStatusBad,        // the route is known to be wrong: stop using it
  kStatusTentative,  // the route may have changed: use it while asking again
  kRefused,          // an Error message about our Query
  kEndpointReached,  // no peer beyond: Endpoint Found, or ICMP port unreachable
  kAssociationLost,  // er_MAConnect or er_MAFailure of the association in use
  kCount
};

enum class QueryingAction : std::uint8_t {
  kStoreMessage,
  kSendMessage,
  kSendQuery,
  kStartNoResponse,  // with the initial value
  kBackOffNoResponse,
  kStopNoResponse,
  kStartRefresh,
  kStopRefresh,
  kInstallPeer,  // routing state from the Response, an association if one is needed
  kSendConfirm,  // if the R-flag was set
  kSendStored,
  kDeliverPayload,
  kEnsureInactive,  // start Inactive_QNode if it is not running
  kRestartInactive,
  kReportNoResponse,
  kReportRefused,
  kReportLastNode,
  kDestroy,
  kCount
};

using QueryingMachine = Machine<QueryingState, QueryingEvent, QueryingAction>;
extern const QueryingMachine kQueryingMachine;

std::string_view to_string(QueryingState state);
std::string_view to_string(QueryingEvent event);
std::string_view to_string(QueryingAction action);

}  // namespace netserv::gist
