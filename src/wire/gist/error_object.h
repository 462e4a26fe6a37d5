// The Error object and its additional information fields (RFC 5971, A.4.1 and A.4.2).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "wire/gist/error_code.h"
#include "wire/gist/fault.h"
#include "wire/gist/header.h"
#include "wire/gist/mri.h"

namespace netserv::gist {

// One additional information field, its value as on the wire: kept generic, since a newer peer may send
// types that we don't know.
struct ErrorInfo {
  std::uint16_t type = 0;
  Bytes value;  // whole words
  bool operator==(const ErrorInfo&) const = default;
};

ErrorInfo message_length_info(std::uint16_t calculated_words);
ErrorInfo mtu_info(std::uint16_t bytes);
ErrorInfo object_type_info(std::uint16_t type);
// `object` is the TLV with its header, whole words; `offset` is the byte where the error was found.
ErrorInfo object_value_info(ByteSpan object, std::uint16_t offset);

struct ObjectValueInfo {
  std::uint16_t offset = 0;
  Bytes object;
};
// The 16-bit number in a kMessageLength, kMtu or kObjectType field; the object in a kObjectValue one.
std::optional<std::uint16_t> number_in(const ErrorInfo& info);
std::optional<ObjectValueInfo> object_in(const ErrorInfo& info);

struct ErrorObject {
  std::uint8_t error_class = 0;
  std::uint16_t code = 0;
  std::uint8_t subcode = 0;
  bool in_datagram = false;    // D: the offending message came in D-mode
  bool in_query_mode = false;  // Q: ...and in Q-mode
  CommonHeader header;         // of the offending message
  std::optional<SessionId> session;
  std::optional<Mri> mri;
  std::vector<ErrorInfo> info;  // at most 255
  std::string comment;          // for people; no NUL
  bool operator==(const ErrorObject&) const = default;

  bool is(ErrorKind kind) const { return code == code_of(kind) && subcode == subcode_of(kind); }
};

MaybeFault decode_error_object(ByteSpan value, ErrorObject& out);
void encode_error_object(ByteWriter& out, const ErrorObject& error);

}  // namespace netserv::gist
