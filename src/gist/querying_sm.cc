#include "gist/querying_sm.h"

namespace netserv::gist {
namespace {
namespace querying_table {

using S = QueryingState;
using E = QueryingEvent;
using A = QueryingAction;

// The numbers are the RFC's processing rules.
constexpr Transition<S, E, A> kRows[] = {
    {S::kBirth, E::kNslpData, S::kAwaitingResponse, {A::kStoreMessage, A::kSendQuery, A::kStartNoResponse, A::kEnsureInactive}},

    {S::kAwaitingResponse, E::kNslpData, S::kAwaitingResponse, {A::kStoreMessage}},  // 1
    {S::kAwaitingResponse, E::kNoResponse, S::kAwaitingResponse, {A::kSendQuery, A::kBackOffNoResponse}},  // 2
    {S::kAwaitingResponse, E::kNoResponseLimit, S::kDead, {A::kReportNoResponse, A::kDestroy}},            // 2
    {S::kAwaitingResponse, E::kResponse, S::kEstablished,                                                 // 4
     {A::kInstallPeer, A::kSendConfirm, A::kSendStored, A::kStopNoResponse, A::kStartRefresh, A::kEnsureInactive,
      A::kDeliverPayload}},
    {S::kAwaitingResponse, E::kNoRoutingState, S::kAwaitingResponse, {A::kSendQuery, A::kStartNoResponse}},  // 3
    {S::kAwaitingResponse, E::kInactive, S::kDead, {A::kDestroy}},                                           // 6
    {S::kAwaitingResponse, E::kRefused, S::kDead, {A::kReportRefused, A::kDestroy}},
    {S::kAwaitingResponse, E::kEndpointReached, S::kDead, {A::kReportLastNode, A::kDestroy}},
    {S::kAwaitingResponse, E::kStatusBad, S::kAwaitingResponse, {}},
    {S::kAwaitingResponse, E::kStatusTentative, S::kAwaitingResponse, {}},

    {S::kEstablished, E::kResponse, S::kEstablished,  // 4
     {A::kInstallPeer, A::kSendConfirm, A::kSendStored, A::kStopNoResponse, A::kStartRefresh, A::kEnsureInactive,
      A::kDeliverPayload}},
    {S::kEstablished, E::kNslpData, S::kEstablished, {A::kSendMessage, A::kRestartInactive}},  // 5
    {S::kEstablished, E::kData, S::kEstablished, {A::kDeliverPayload, A::kRestartInactive}},   // 7
    {S::kEstablished, E::kRefresh, S::kAwaitingRefresh, {A::kSendQuery, A::kStartNoResponse, A::kStopRefresh}},  // 8
    {S::kEstablished, E::kNoRoutingState, S::kAwaitingResponse,                                                 // 3
     {A::kSendQuery, A::kStartNoResponse, A::kStopRefresh}},
    {S::kEstablished, E::kInactive, S::kDead, {A::kDestroy}},  // 6
    {S::kEstablished, E::kStatusBad, S::kAwaitingResponse, {A::kSendQuery, A::kStartNoResponse, A::kStopRefresh}},
    {S::kEstablished, E::kStatusTentative, S::kAwaitingRefresh, {A::kSendQuery, A::kStartNoResponse, A::kStopRefresh}},
    {S::kEstablished, E::kAssociationLost, S::kAwaitingResponse, {A::kSendQuery, A::kStartNoResponse, A::kStopRefresh}},

    {S::kAwaitingRefresh, E::kResponse, S::kEstablished,  // 4
     {A::kInstallPeer, A::kSendConfirm, A::kSendStored, A::kStopNoResponse, A::kStartRefresh, A::kEnsureInactive,
      A::kDeliverPayload}},
    {S::kAwaitingRefresh, E::kNslpData, S::kAwaitingRefresh, {A::kSendMessage, A::kRestartInactive}},       // 5
    {S::kAwaitingRefresh, E::kData, S::kAwaitingRefresh, {A::kDeliverPayload, A::kRestartInactive}},        // 7
    {S::kAwaitingRefresh, E::kNoResponse, S::kAwaitingRefresh, {A::kSendQuery, A::kBackOffNoResponse}},     // 2
    {S::kAwaitingRefresh, E::kNoResponseLimit, S::kDead, {A::kReportNoResponse, A::kDestroy}},              // 2
    {S::kAwaitingRefresh, E::kNoRoutingState, S::kAwaitingResponse, {A::kSendQuery, A::kStartNoResponse}},  // 3
    {S::kAwaitingRefresh, E::kInactive, S::kDead, {A::kDestroy}},                                           // 6
    {S::kAwaitingRefresh, E::kRefused, S::kDead, {A::kReportRefused, A::kDestroy}},
    {S::kAwaitingRefresh, E::kEndpointReached, S::kDead, {A::kReportLastNode, A::kDestroy}},
    {S::kAwaitingRefresh, E::kStatusBad, S::kAwaitingResponse, {}},
    {S::kAwaitingRefresh, E::kStatusTentative, S::kAwaitingRefresh, {}},
    {S::kAwaitingRefresh, E::kAssociationLost, S::kAwaitingResponse, {}},
};

}  // namespace querying_table
}  // namespace

constexpr QueryingMachine kQueryingMachine(querying_table::kRows);

std::string_view to_string(QueryingState state) {
  constexpr std::string_view kNames[] = {"Birth", "AwaitingResponse", "Established", "AwaitingRefresh", "Dead"};
  return kNames[static_cast<std::size_t>(state)];
}

std::string_view to_string(QueryingEvent event) {
  constexpr std::string_view kNames[] = {
      "tg_NSLPData",      "rx_Response",    "rx_Data",       "to_No_Response",   "to_No_Response[limit]",
      "er_NoRSM",         "to_Refresh",     "to_Inactive",   "status_Bad",       "status_Tentative",
      "refused",          "endpoint",       "er_MALost"};
  return kNames[static_cast<std::size_t>(event)];
}

std::string_view to_string(QueryingAction action) {
  constexpr std::string_view kNames[] = {
      "StoreMessage", "SendMessage",    "SendQuery",      "StartNoResponse", "BackOffNoResponse", "StopNoResponse",
      "StartRefresh", "StopRefresh",    "InstallPeer",    "SendConfirm",     "SendStored",        "DeliverPayload",
      "EnsureInactive", "RestartInactive", "ReportNoResponse", "ReportRefused", "ReportLastNode", "Destroy"};
  return kNames[static_cast<std::size_t>(action)];
}

}  // namespace netserv::gist
