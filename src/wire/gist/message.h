// GIST messages: the codec's face (RFC 5971, 5.1 and A). A decoded message obeys the grammar of its type, so
// objects that kGrammar requires are there. Decoding has no side effects: what is wrong comes back as a value
// from which the core makes an Error message, or nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <tl/expected.hpp>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "wire/gist/error_object.h"
#include "wire/gist/grammar.h"
#include "wire/gist/header.h"
#include "wire/gist/mri.h"
#include "wire/gist/nat_traversal.h"
#include "wire/gist/nli.h"
#include "wire/gist/stack.h"
#include "wire/gist/types.h"

namespace netserv::gist {

// An object of unknown type with AB=10: kept in whatever is forwarded because of this message.
struct ForwardedObject {
  std::uint16_t type = 0;
  std::uint8_t after = 0;  // known objects before it in the message
  Bytes value;             // whole words
  bool operator==(const ForwardedObject&) const = default;
};

struct Message {
  CommonHeader header;
  std::optional<NatTraversal> nat_traversal;
  std::optional<Mri> mri;
  std::optional<SessionId> session;
  std::optional<Nli> nli;
  std::optional<Bytes> query_cookie;      // whole words, like all cookies and payloads
  std::optional<Bytes> responder_cookie;
  std::optional<StackProposal> stack_proposal;
  std::optional<StackConfiguration> stack_configuration;
  std::optional<Bytes> nslp_data;
  std::optional<ErrorObject> error;
  std::optional<std::uint32_t> hello_id;
  std::vector<ForwardedObject> forwarded;
  bool operator==(const Message&) const = default;

  MessageType type() const { return header.message_type(); }
};

// Why a message is refused, with what an Error object needs. MRI, session and NLI are there if they could be
// decoded, wherever in the message they stand.
struct DecodeError {
  ErrorKind kind = ErrorKind::kUnknownVersion;
  Transport transport = Transport::kDatagram;
  // False where GIST stays silent: too short for a header, no magic number, an Error message.
  bool answerable = false;
  CommonHeader header;
  std::optional<SessionId> session;
  std::optional<Mri> mri;
  std::optional<Nli> nli;
  std::optional<NatTraversal> nat_traversal;
  std::vector<ErrorInfo> info;

  ErrorObject to_object() const;
};

using DecodeResult = tl::expected<Message, DecodeError>;

// `bytes` is one message from its common header on: a datagram's payload after the magic number, or what
// StreamSplitter cut off a stream.
DecodeResult decode_message(ByteSpan bytes, Transport transport);
// `payload` is that of a UDP datagram.
DecodeResult decode_datagram(ByteSpan payload);
bool has_magic(ByteSpan payload);

// The message with its Length set. Refuses what decode_message() would: a message against its grammar, an
// object or message that is too long, payload that is not whole words.
Result<Bytes> encode_message(const Message& message, Transport transport);
// The same after the magic number.
Result<Bytes> encode_datagram(const Message& message);

}  // namespace netserv::gist
