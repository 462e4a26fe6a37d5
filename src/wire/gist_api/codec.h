// The messages between a signalling application and gistd: one a packet on a UNIX seqpacket socket. The calls of
// RFC 5971, appendix B (api.h), in a format that any language can write; docs/gist-api.md is its specification.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "base/bytes.h"
#include "base/result.h"
#include "wire/gist_api/api.h"

namespace netserv::gist {

inline constexpr std::uint8_t kApiVersion = 1;

// The first message on a connection: which NSLPID the application serves. One application for each NSLPID.
struct Attach {
  NslpId nslp{};
  std::string name;  // for logs, at most 255 bytes
  bool operator==(const Attach&) const = default;
};

struct AttachReply {
  bool accepted = false;
  std::string text;  // why not, at most 255 bytes
  bool operator==(const AttachReply&) const = default;
};

// The answer to a RecvMessage with a ticket.
struct AnswerQuery {
  QueryTicket ticket{};
  QueryAnswer answer;
  bool operator==(const AnswerQuery&) const = default;
};

// In the order of their type numbers, from 1.
using ApiMessage = std::variant<Attach, AttachReply, SendMessage, AnswerQuery, SetStateLifetime,
                                InvalidateRoutingState, RecvMessage, MessageStatus, NetworkNotification>;

// Durations are carried in whole milliseconds, rounded up.
Bytes encode_api_message(const ApiMessage& message);
// Refuses other versions, unknown types, enumerators and flags, and anything too short or too long.
Result<ApiMessage> decode_api_message(ByteSpan packet);

}  // namespace netserv::gist
