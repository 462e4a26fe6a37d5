#include "gist/output.h"

namespace netserv::gist {

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
    case T::kShareUsedUp: return "peer has its share of states";
    case T::kTooLargeForError: return "error too large for a datagram";
  }
  return "?";
}

}  // namespace netserv::gist
