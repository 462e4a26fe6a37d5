// gistd's API (RFC 5971, appendix B) as bytes: one message a datagram of a UNIX seqpacket socket. The format is
// docs/gist-api.md; decoding refuses whatever encoding would not give.
#pragma once

#include <variant>

#include "base/result.h"
#include "gist/api.h"

namespace netserv::transport {

inline constexpr std::size_t kMaxApiMessage = 32768;  // the longest payload is 16 KiB

// What an application says.
struct Register {
  gist::NslpId nslp{};
  // Only what belongs to sessions that this application has sent on; several may share an NSLPID so.
  bool sessions_only = false;
  bool operator==(const Register&) const = default;
};
struct AnswerQuery {
  gist::QueryTicket ticket{};
  gist::QueryAnswer answer;
};
using ApiRequest = std::variant<Register, gist::SendMessage, gist::SetStateLifetime, gist::InvalidateRoutingState,
                                AnswerQuery>;

// What gistd says.
struct Registered {
  gist::NslpId nslp{};
  std::string refusal;  // empty: registered
  bool operator==(const Registered&) const = default;
};
using ApiIndication = std::variant<Registered, gist::RecvMessage, gist::MessageStatus, gist::NetworkNotification>;

Bytes encode(const ApiRequest& request);
Bytes encode(const ApiIndication& indication);
Result<ApiRequest> decode_request(ByteSpan bytes);
Result<ApiIndication> decode_indication(ByteSpan bytes);

}  // namespace netserv::transport
