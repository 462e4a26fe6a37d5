// The messaging association machine of RFC 5971, 6.4 (figure 9).
#pragma once

#include "gist/machine.h"

namespace netserv::gist {

enum class AssociationState : std::uint8_t { kBirth, kAwaitingConnection, kConnected, kIdle, kDead, kCount };

enum class AssociationEvent : std::uint8_t {
  kCreate,
  kRawData,         // tg_RawData: a message to send
  kMessage,         // rx_Message
  kHello,           // rx_MA-Hello
  kSendHelloTimer,  // to_SendHello
  kNoHelloTimer,    // to_NoHello
  kConnected,       // tg_Connected
  kUnneeded,        // tg_MAIdle
  kConnectFailed,   // er_MAConnect
  kFailed,          // er_MAFailure
  kCount
};

enum class AssociationAction : std::uint8_t {
  kTransmit,
  kQueue,
  kFlush,
  kStartSendHello,
  kStopSendHello,
  kStartNoHello,
  kStopNoHello,
  kAnswerHello,  // if a reply is requested; then SendHello starts anew if it is running
  kSendHello,
  kReportFailure,
  kClose,
  kDestroy,
  kCount
};

using AssociationMachine = Machine<AssociationState, AssociationEvent, AssociationAction>;
extern const AssociationMachine kAssociationMachine;

std::string_view to_string(AssociationState state);
std::string_view to_string(AssociationEvent event);
std::string_view to_string(AssociationAction action);

}  // namespace netserv::gist
