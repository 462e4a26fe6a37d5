#include "gist/responding_sm.h"

namespace netserv::gist {
namespace {
namespace responding_table {

using S = RespondingState;
using E = RespondingEvent;
using A = RespondingAction;

// The numbers are the RFC's processing rules.
constexpr Transition<S, E, A> kRows[] = {
    {S::kBirth, E::kQueryConfirm, S::kAwaitingConfirm, {A::kSendResponseForConfirm, A::kStartNoConfirm}},   // 1
    {S::kBirth, E::kConfirm, S::kEstablished, {A::kInstallPeer, A::kDeliverPayload, A::kStartExpire}},      // 2
    {S::kBirth, E::kQuery, S::kEstablished, {A::kInstallPeer, A::kSendResponse, A::kStartExpire}},          // 5

    {S::kAwaitingConfirm, E::kQueryConfirm, S::kAwaitingConfirm, {A::kSendResponseForConfirm, A::kStartNoConfirm}},  // 1
    {S::kAwaitingConfirm, E::kData, S::kAwaitingConfirm, {A::kRefuseData}},                                          // 6
    {S::kAwaitingConfirm, E::kNslpData, S::kAwaitingConfirm, {A::kStoreMessage}},                                    // 7
    {S::kAwaitingConfirm, E::kConfirm, S::kEstablished,                                                              // 8
     {A::kInstallPeer, A::kDeliverPayload, A::kSendStored, A::kStopNoConfirm, A::kStartExpire}},
    {S::kAwaitingConfirm, E::kNoConfirm, S::kDead, {A::kDestroy}},                                                   // 9
    {S::kAwaitingConfirm, E::kReleased, S::kDead, {A::kDestroy}},
    {S::kAwaitingConfirm, E::kRevoked, S::kDead, {A::kDestroy}},

    {S::kEstablished, E::kQuery, S::kEstablished, {A::kInstallPeer, A::kSendResponse, A::kStartExpire}},  // 5
    {S::kEstablished, E::kQueryConfirm, S::kAwaitingRefresh,  // 1
     {A::kSendResponseForConfirm, A::kStartNoConfirm, A::kExtendExpire}},
    {S::kEstablished, E::kConfirm, S::kEstablished, {}},                             // 10
    {S::kEstablished, E::kData, S::kEstablished, {A::kDeliverPayload}},              // 4
    {S::kEstablished, E::kNslpData, S::kEstablished, {A::kSendMessage}},             // 3
    {S::kEstablished, E::kExpire, S::kDead, {A::kReportLoss, A::kDestroy}},          // 11
    {S::kEstablished, E::kNoRoutingState, S::kDead, {A::kReportLoss, A::kDestroy}},  // 11
    {S::kEstablished, E::kReleased, S::kDead, {A::kDestroy}},
    {S::kEstablished, E::kRevoked, S::kDead, {A::kReportLoss, A::kDestroy}},

    {S::kAwaitingRefresh, E::kQueryConfirm, S::kAwaitingRefresh, {A::kSendResponseForConfirm, A::kStartNoConfirm}},  // 1
    {S::kAwaitingRefresh, E::kData, S::kAwaitingRefresh, {A::kDeliverPayload}},                                      // 4
    {S::kAwaitingRefresh, E::kNslpData, S::kAwaitingRefresh, {A::kSendMessage}},                                     // 3
    {S::kAwaitingRefresh, E::kConfirm, S::kEstablished,                                                              // 8
     {A::kInstallPeer, A::kDeliverPayload, A::kSendStored, A::kStopNoConfirm, A::kStartExpire}},
    {S::kAwaitingRefresh, E::kNoConfirm, S::kDead, {A::kReportLoss, A::kDestroy}},       // 9
    {S::kAwaitingRefresh, E::kExpire, S::kDead, {A::kReportLoss, A::kDestroy}},          // 11
    {S::kAwaitingRefresh, E::kNoRoutingState, S::kDead, {A::kReportLoss, A::kDestroy}},  // 11
    {S::kAwaitingRefresh, E::kReleased, S::kDead, {A::kDestroy}},
    {S::kAwaitingRefresh, E::kRevoked, S::kDead, {A::kReportLoss, A::kDestroy}},
};

}  // namespace responding_table
}  // namespace

constexpr RespondingMachine kRespondingMachine(responding_table::kRows);

std::string_view to_string(RespondingState state) {
  constexpr std::string_view kNames[] = {"Birth", "AwaitingConfirm", "Established", "AwaitingRefresh", "Dead"};
  return kNames[static_cast<std::size_t>(state)];
}

std::string_view to_string(RespondingEvent event) {
  constexpr std::string_view kNames[] = {"rx_Query[confirm]", "rx_Query",   "rx_Confirm",           "rx_Data",
                                         "tg_NSLPData",       "to_No_Confirm", "to_Expire",
                                         "er_NoRSM",          "released",   "revoked"};
  return kNames[static_cast<std::size_t>(event)];
}

std::string_view to_string(RespondingAction action) {
  constexpr std::string_view kNames[] = {"SendResponse(R=0)", "SendResponse(R=1)", "StartNoConfirm", "StopNoConfirm",
                                         "StartExpire",       "ExtendExpire",      "InstallPeer",    "DeliverPayload",
                                         "SendMessage",       "StoreMessage",      "SendStored",     "RefuseData",
                                         "ReportLoss",        "Destroy"};
  return kNames[static_cast<std::size_t>(action)];
}

}  // namespace netserv::gist
