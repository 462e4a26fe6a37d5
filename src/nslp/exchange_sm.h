// A request's life at one node. Two things run side by side: the node's own part (its controller's decision, or at the
// end of a TRIGGER's way the upstream flow) and the path beyond; the answer leaves when both are known.
//
//     New -> Held -> Opening -> Awaiting -> Closing -> Answered -> Dead
//                 \-> OpeningReady -> AwaitingReady --^      (own part done, or none)
//
// Held: whether this node acts changes what the next one is told (nodes:first=N). Opening: GIST looks for the next
// node. Awaiting: the next node has it. Closing: the path beyond is known. docs/nslp/exchange-sm.txt has the table.
#pragma once

#include "gist/machine.h"

namespace netserv::nslp {

enum class ExchangeState : std::uint8_t {
  kNew, kHeld, kOpening, kOpeningReady, kAwaiting, kAwaitingReady, kClosing, kAnswered, kDead, kCount
};

enum class ExchangeEvent : std::uint8_t {
  kRefused,       // the node itself finds fault with the request
  kActsFirst,     // it acts, and tells the next node whether it did
  kActs,          // it acts while the request goes on
  kPasses,        // it only passes the request on, or is the one that sends it
  kOwnDone,       // its own part is done
  kSent,          // GIST has sent the request to the next node
  kLastNode,      // there is no next node
  kLastNodeActs,  // ... and so this one acts
  kSendFailed,
  kResponse,      // from the next node
  kDuplicate,     // the same request again
  kRetransmit,    // the next node has not answered for a while
  kSendAgain,     // GIST forgot it, or can't send it in that way
  kDeadline,      // the one before will not wait longer
  kForget,
  kCount
};

enum class ExchangeAction : std::uint8_t {
  kAct,
  kForward,
  kStartRetransmission,
  kTakeStack,
  kNoteOwnTimeout,
  kNotePathTimeout,
  kNotePathFailed,
  kRespond,
  kRepeat,
  kRelease,  // GIST's state of the session is of no more use
  kCount
};

using ExchangeMachine = gist::Machine<ExchangeState, ExchangeEvent, ExchangeAction>;
extern const ExchangeMachine kExchangeMachine;

std::string_view to_string(ExchangeState state);
std::string_view to_string(ExchangeEvent event);
std::string_view to_string(ExchangeAction action);

}  // namespace netserv::nslp
