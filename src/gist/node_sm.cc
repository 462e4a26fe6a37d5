#include "gist/node_sm.h"

namespace netserv::gist {
namespace {
namespace node_table {

using S = NodeState;
using E = NodeEvent;
using A = NodeAction;

constexpr Transition<S, E, A> kRows[] = {
    {S::kIdle, E::kQueryAccepted, S::kIdle, {A::kCreateResponder}},               // rule 1
    {S::kIdle, E::kQueryAcceptedDelayed, S::kIdle, {A::kSendStatelessResponse}},  // rule 1
    {S::kIdle, E::kQueryDeclined, S::kIdle, {A::kPropagateQuery}},                // rule 1
    {S::kIdle, E::kResponse, S::kIdle, {A::kDiscard}},                            // rule 2
    {S::kIdle, E::kConfirmVerified, S::kIdle, {A::kCreateResponder}},             // rule 3
    {S::kIdle, E::kConfirmUnverified, S::kIdle, {A::kDiscard, A::kSendNoRoutingState}},
    {S::kIdle, E::kDataNeedsState, S::kIdle, {A::kDiscard, A::kSendNoRoutingState}},  // rule 4
    {S::kIdle, E::kDataStateless, S::kIdle, {A::kDeliver}},
    {S::kIdle, E::kNoRoutingState, S::kIdle, {A::kDiscard}},
    {S::kIdle, E::kSendImpossible, S::kIdle, {A::kRejectSend}},  // rule 5
    {S::kIdle, E::kSendStateless, S::kIdle, {A::kSendStatelessly}},
    {S::kIdle, E::kSendStateful, S::kIdle, {A::kCreateQuerier}},
};

}  // namespace node_table
}  // namespace

constexpr NodeMachine kNodeMachine(node_table::kRows);

std::string_view to_string(NodeState) { return "Idle"; }

std::string_view to_string(NodeEvent event) {
  constexpr std::string_view kNames[] = {
      "rx_Query[accepted]",    "rx_Query[accepted,delayed]", "rx_Query[declined]",   "rx_Response",
      "rx_Confirm[verified]",  "rx_Confirm[unverified]",     "rx_Data[state needed]", "rx_Data[stateless]",
      "er_NoRSM",              "tg_NSLPData[no Q-mode]",     "tg_NSLPData[stateless]", "tg_NSLPData[stateful]"};
  return kNames[static_cast<std::size_t>(event)];
}

std::string_view to_string(NodeAction action) {
  constexpr std::string_view kNames[] = {"CreateResponder",     "SendStatelessResponse", "PropagateQuery",
                                         "Discard",             "SendNoRoutingState",    "Deliver",
                                         "RejectSend",          "SendStatelessly",       "CreateQuerier"};
  return kNames[static_cast<std::size_t>(action)];
}

}  // namespace netserv::gist
