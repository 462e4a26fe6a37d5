// The Responding-SM of RFC 5971, 6.3 (figure 8): routing state that a peer's Query asked for.
//
// Case 1 (no Confirm needed) and case 3 (state only with the Confirm) begin in Established, case 2 in
// AwaitingConfirm. The number of Responses after which rule 9 ends it is one: a Response is sent only as the answer to
// a Query, since one that is repeated by itself makes a node whose Query was forged send many packets to a stranger (8.4).
#pragma once

#include "gist/machine.h"

namespace netserv::gist {

enum class RespondingState : std::uint8_t { kBirth, kAwaitingConfirm, kEstablished, kAwaitingRefresh, kDead, kCount };

enum class RespondingEvent : std::uint8_t {
  kQueryConfirm,    // rx_Query [confirmRequired]
  kQuery,           // rx_Query [!confirmRequired]
  kConfirm,         // rx_Confirm, verified
  kData,            // rx_Data
  kNslpData,        // tg_NSLPData
  kNoConfirm,       // to_No_Confirm
  kExpire,          // to_Expire_RNode
  kNoRoutingState,  // er_NoRSM
  kReleased,        // the application wants the state no more
  kRevoked,         // a Confirm that was tampered with, or the peer is no longer authorised
  kCount
};

enum class RespondingAction : std::uint8_t {
  kSendResponse,            // R=0
  kSendResponseForConfirm,  // R=1
  kStartNoConfirm,
  kStopNoConfirm,
  kStartExpire,
  kExtendExpire,  // if the Query is the installed peer's: its Confirm may be lost. Once, or replays would keep the state
  kInstallPeer,
  kDeliverPayload,
  kSendMessage,
  kStoreMessage,
  kSendStored,
  kRefuseData,  // "No Routing State"
  kReportLoss,
  kDestroy,
  kCount
};

using RespondingMachine = Machine<RespondingState, RespondingEvent, RespondingAction>;
extern const RespondingMachine kRespondingMachine;

std::string_view to_string(RespondingState state);
std::string_view to_string(RespondingEvent event);
std::string_view to_string(RespondingAction action);

}  // namespace netserv::gist
