#include "wire/gist_api/api.h"

namespace netserv::gist {

std::string_view to_string(SendError error) {
  switch (error) {
    case SendError::kNone: return "sent";
    case SendError::kHopsZero: return "a hop count of zero";
    case SendError::kIsDestination: return "this node is the destination";
    case SendError::kBadPayload: return "payload is not whole words, or too long";
    case SendError::kUnknownNslp: return "NSLPID not registered here";
    case SendError::kNoEncapsulation: return "no way to send in this direction";
    case SendError::kNoNextNode: return "no next node found";
    case SendError::kRefused: return "refused by the peer";
    case SendError::kNoAssociation: return "no suitable messaging association";
    case SendError::kLost: return "messaging association failed";
    case SendError::kOverload: return "too many messages or states";
    case SendError::kUnknownSii: return "SII-handle unknown";
    case SendError::kTooLarge: return "too large for a datagram";
    case SendError::kTimeout: return "timeout";
    case SendError::kUnreachable: return "no route";
  }
  return "?";
}

std::string_view to_string(NetworkNotification::Type type) {
  using T = NetworkNotification::Type;
  switch (type) {
    case T::kLastNode: return "last node";
    case T::kRoutingStatus: return "routing status change";
    case T::kRouteDeletion: return "route deletion";
    case T::kAuthorisationChange: return "node authorisation change";
    case T::kCommunicationFailure: return "communication failure";
  }
  return "?";
}

}  // namespace netserv::gist
