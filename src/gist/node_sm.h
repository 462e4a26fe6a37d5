// The Node-SM of RFC 5971, 6.1: one state, what to do with an event for which no routing state exists.
#pragma once

#include "gist/machine.h"

namespace netserv::gist {

enum class NodeState : std::uint8_t { kIdle, kCount };

enum class NodeEvent : std::uint8_t {
  kQueryAccepted,         // rx_Query, the application wants state, and it can be made now (cases 1 and 2)
  kQueryAcceptedDelayed,  // ... only when a Confirm comes (case 3)
  kQueryDeclined,
  kResponse,
  kConfirmVerified,    // its Responder-Cookie is ours
  kConfirmUnverified,  // no cookie, or not ours
  kDataNeedsState,     // node policy takes Data only with routing state
  kDataStateless,
  kNoRoutingState,        // er_NoRSM
  kSendImpossible,        // tg_NSLPData: no Q-mode encapsulation for this MRI
  kSendStateless,         // ... the application wants no state
  kSendStateful,
  kCount
};

enum class NodeAction : std::uint8_t {
  kCreateResponder,
  kSendStatelessResponse,
  kPropagateQuery,
  kDiscard,
  kSendNoRoutingState,
  kDeliver,
  kRejectSend,
  kSendStatelessly,
  kCreateQuerier,
  kCount
};

using NodeMachine = Machine<NodeState, NodeEvent, NodeAction>;
extern const NodeMachine kNodeMachine;

std::string_view to_string(NodeState state);
std::string_view to_string(NodeEvent event);
std::string_view to_string(NodeAction action);

}  // namespace netserv::gist
