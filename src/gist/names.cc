#include "gist/api.h"
#include "gist/output.h"

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

std::string_view to_string(Event::Type type) {
  using T = Event::Type;
  switch (type) {
    case T::kStateCreated: return "state created";
    case T::kStateDeleted: return "state deleted";
    case T::kErrorSent: return "error sent";
    case T::kErrorReceived: return "error received";
    case T::kDropped: return "dropped";
    case T::kCookieRefused: return "cookie refused";
    case T::kStackTampered: return "stack proposal tampered with";
    case T::kPeerRefused: return "peer not authorised";
    case T::kRateLimited: return "rate limited";
    case T::kTooLargeForError: return "error too large for a datagram";
  }
  return "?";
}

}  // namespace netserv::gist
