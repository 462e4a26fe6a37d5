#include "gist/association_sm.h"

namespace netserv::gist {
namespace {
namespace association_table {

using S = AssociationState;
using E = AssociationEvent;
using A = AssociationAction;

// The numbers are the RFC's processing rules. Rule 2's passing on is the caller's.
constexpr Transition<S, E, A> kRows[] = {
    {S::kBirth, E::kCreate, S::kAwaitingConnection, {}},

    {S::kAwaitingConnection, E::kRawData, S::kAwaitingConnection, {A::kQueue}},                         // 5
    {S::kAwaitingConnection, E::kConnected, S::kConnected, {A::kFlush, A::kStartSendHello}},            // 6
    {S::kAwaitingConnection, E::kConnectFailed, S::kDead, {A::kReportFailure, A::kDestroy}},            // 8

    {S::kConnected, E::kRawData, S::kConnected, {A::kTransmit, A::kStartSendHello}},         // 1
    {S::kConnected, E::kMessage, S::kConnected, {}},                                         // 2
    {S::kConnected, E::kHello, S::kConnected, {A::kAnswerHello}},                            // 3
    {S::kConnected, E::kSendHelloTimer, S::kConnected, {A::kSendHello, A::kStartSendHello}}, // 4
    {S::kConnected, E::kUnneeded, S::kIdle, {A::kStopSendHello, A::kStartNoHello}},          // 7
    {S::kConnected, E::kFailed, S::kDead, {A::kReportFailure, A::kDestroy}},                 // 8

    {S::kIdle, E::kRawData, S::kConnected, {A::kTransmit, A::kStopNoHello, A::kStartSendHello}},  // 1
    {S::kIdle, E::kMessage, S::kConnected, {A::kStopNoHello, A::kStartSendHello}},                // 2
    {S::kIdle, E::kHello, S::kIdle, {A::kAnswerHello, A::kStartNoHello}},                         // 9
    {S::kIdle, E::kNoHelloTimer, S::kDead, {A::kReportFailure, A::kClose, A::kDestroy}},          // 8
    {S::kIdle, E::kFailed, S::kDead, {A::kReportFailure, A::kDestroy}},                           // 8
};

}  // namespace association_table
}  // namespace

constexpr AssociationMachine kAssociationMachine(association_table::kRows);

std::string_view to_string(AssociationState state) {
  constexpr std::string_view kNames[] = {"Birth", "AwaitingConnection", "Connected", "Idle", "Dead"};
  return kNames[static_cast<std::size_t>(state)];
}

std::string_view to_string(AssociationEvent event) {
  constexpr std::string_view kNames[] = {"create",     "tg_RawData",   "rx_Message", "rx_MA-Hello",  "to_SendHello",
                                         "to_NoHello", "tg_Connected", "tg_MAIdle",  "er_MAConnect", "er_MAFailure"};
  return kNames[static_cast<std::size_t>(event)];
}

std::string_view to_string(AssociationAction action) {
  constexpr std::string_view kNames[] = {"Transmit",    "Queue",       "Flush",     "StartSendHello", "StopSendHello",
                                         "StartNoHello", "StopNoHello", "AnswerHello", "SendHello",   "ReportFailure",
                                         "Close",       "Destroy"};
  return kNames[static_cast<std::size_t>(action)];
}

}  // namespace netserv::gist
