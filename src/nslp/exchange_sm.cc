#include "nslp/exchange_sm.h"

namespace netserv::nslp {
namespace {

using S = ExchangeState;
using E = ExchangeEvent;
using A = ExchangeAction;

constexpr gist::Transition<S, E, A> kRows[] = {
    {S::kNew, E::kRefused, S::kAnswered, {A::kRespond}},
    {S::kNew, E::kActsFirst, S::kHeld, {A::kAct}},
    {S::kNew, E::kActs, S::kOpening, {A::kAct, A::kForward}},
    {S::kNew, E::kPasses, S::kOpeningReady, {A::kForward}},

    {S::kHeld, E::kOwnDone, S::kOpeningReady, {A::kForward}},
    {S::kHeld, E::kDeadline, S::kAnswered, {A::kNoteOwnTimeout, A::kRespond}},

    {S::kOpening, E::kOwnDone, S::kOpeningReady, {}},
    {S::kOpening, E::kSent, S::kAwaiting, {A::kStartRetransmission}},
    {S::kOpening, E::kLastNode, S::kClosing, {}},
    {S::kOpening, E::kSendFailed, S::kClosing, {A::kNotePathFailed}},
    {S::kOpening, E::kResponse, S::kClosing, {A::kTakeStack}},
    {S::kOpening, E::kSendAgain, S::kOpening, {A::kForward}},
    {S::kOpening, E::kDeadline, S::kAnswered, {A::kNoteOwnTimeout, A::kNotePathTimeout, A::kRespond}},

    {S::kOpeningReady, E::kSent, S::kAwaitingReady, {A::kStartRetransmission}},
    {S::kOpeningReady, E::kLastNode, S::kAnswered, {A::kRespond}},
    {S::kOpeningReady, E::kLastNodeActs, S::kClosing, {A::kAct}},
    {S::kOpeningReady, E::kSendFailed, S::kAnswered, {A::kNotePathFailed, A::kRespond}},
    {S::kOpeningReady, E::kResponse, S::kAnswered, {A::kTakeStack, A::kRespond}},
    {S::kOpeningReady, E::kSendAgain, S::kOpeningReady, {A::kForward}},
    {S::kOpeningReady, E::kDeadline, S::kAnswered, {A::kNotePathTimeout, A::kRespond}},

    {S::kAwaiting, E::kOwnDone, S::kAwaitingReady, {}},
    {S::kAwaiting, E::kSent, S::kAwaiting, {A::kStartRetransmission}},
    {S::kAwaiting, E::kLastNode, S::kClosing, {}},
    {S::kAwaiting, E::kResponse, S::kClosing, {A::kTakeStack}},
    {S::kAwaiting, E::kRetransmit, S::kAwaiting, {A::kForward}},
    {S::kAwaiting, E::kSendAgain, S::kAwaiting, {A::kForward}},
    {S::kAwaiting, E::kDeadline, S::kAnswered, {A::kNoteOwnTimeout, A::kNotePathTimeout, A::kRespond}},

    {S::kAwaitingReady, E::kSent, S::kAwaitingReady, {A::kStartRetransmission}},
    {S::kAwaitingReady, E::kLastNode, S::kAnswered, {A::kRespond}},
    {S::kAwaitingReady, E::kLastNodeActs, S::kClosing, {A::kAct}},
    {S::kAwaitingReady, E::kResponse, S::kAnswered, {A::kTakeStack, A::kRespond}},
    {S::kAwaitingReady, E::kRetransmit, S::kAwaitingReady, {A::kForward}},
    {S::kAwaitingReady, E::kSendAgain, S::kAwaitingReady, {A::kForward}},
    {S::kAwaitingReady, E::kDeadline, S::kAnswered, {A::kNotePathTimeout, A::kRespond}},

    {S::kClosing, E::kOwnDone, S::kAnswered, {A::kRespond}},
    {S::kClosing, E::kDeadline, S::kAnswered, {A::kNoteOwnTimeout, A::kRespond}},

    {S::kAnswered, E::kDuplicate, S::kAnswered, {A::kRepeat}},
    {S::kAnswered, E::kForget, S::kDead, {A::kRelease}},
};

}  // namespace

constexpr ExchangeMachine kExchangeMachine(kRows);

std::string_view to_string(ExchangeState state) {
  constexpr std::string_view kNames[] = {"New",      "Held",          "Opening", "OpeningReady", "Awaiting",
                                         "AwaitingReady", "Closing", "Answered",     "Dead"};
  return kNames[static_cast<std::size_t>(state)];
}

std::string_view to_string(ExchangeEvent event) {
  constexpr std::string_view kNames[] = {"Refused",  "ActsFirst",    "Acts",       "Passes",   "OwnDone",
                                         "Sent",     "LastNode",     "LastNodeActs", "SendFailed", "Response",
                                         "Duplicate", "Retransmit",  "SendAgain",   "Deadline", "Forget"};
  return kNames[static_cast<std::size_t>(event)];
}

std::string_view to_string(ExchangeAction action) {
  constexpr std::string_view kNames[] = {"Act",           "Forward",         "StartRetransmission", "TakeStack",
                                         "NoteOwnTimeout", "NotePathTimeout", "NotePathFailed",      "Respond",
                                         "Repeat",        "Release"};
  return kNames[static_cast<std::size_t>(action)];
}

}  // namespace netserv::nslp
