// The error catalogue of RFC 5971, A.4.4, as a table: class, code, subcode, and which additional information
// an Error object must carry.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace netserv::gist {

enum class ErrorClass : std::uint8_t {
  kInformational = 0,
  kSuccess = 1,
  kProtocolError = 2,
  kTransientFailure = 3,
  kPermanentFailure = 4,
};

// Code and subcode in one value, so that a subcode is never paired with another code's.
enum class ErrorKind : std::uint32_t {
  kUnknownVersion = 1 << 8 | 0,
  kUnknownType = 1 << 8 | 1,
  kInvalidRFlag = 1 << 8 | 2,
  kIncorrectMessageLength = 1 << 8 | 3,
  kInvalidEFlag = 1 << 8 | 4,
  kInvalidCFlag = 1 << 8 | 5,
  kHopLimitExceeded = 2 << 8,
  kIncorrectEncapsulation = 3 << 8,
  kIncorrectlyDelivered = 4 << 8,
  kNoRoutingState = 5 << 8,
  kUnknownNslpId = 6 << 8,
  kEndpointFound = 7 << 8,
  kMessageTooLarge = 8 << 8,
  kDuplicateObject = 9 << 8 | 0,
  kUnrecognisedObject = 9 << 8 | 1,
  kMissingObject = 9 << 8 | 2,
  kInvalidObjectType = 9 << 8 | 3,
  kUntranslatedObject = 9 << 8 | 4,
  kInvalidExtensibilityFlags = 9 << 8 | 5,
  kIncorrectObjectLength = 10 << 8 | 0,
  kValueNotSupported = 10 << 8 | 1,
  kInvalidFlagFieldCombination = 10 << 8 | 2,
  kEmptyList = 10 << 8 | 3,
  kInvalidCookie = 10 << 8 | 4,
  kStackMismatch = 10 << 8 | 5,
  kInvalidIpTtl = 11 << 8,
  kMriTooWild = 12 << 8 | 0,
  kIpVersionMismatch = 12 << 8 | 1,
  kIngressFilterFailure = 12 << 8 | 2,
};

constexpr std::uint16_t code_of(ErrorKind kind) { return static_cast<std::uint16_t>(static_cast<std::uint32_t>(kind) >> 8); }
constexpr std::uint8_t subcode_of(ErrorKind kind) { return static_cast<std::uint8_t>(kind); }

enum class InfoType : std::uint16_t { kMessageLength = 1, kMtu = 2, kObjectType = 3, kObjectValue = 4 };

struct ErrorRow {
  ErrorKind kind;
  ErrorClass error_class;
  std::string_view name;
  std::uint8_t info_count;  // additional information fields that must be there...
  InfoType info;            // ...of this type
};

inline constexpr std::array kErrorCatalogue = std::to_array<ErrorRow>({
    {ErrorKind::kUnknownVersion, ErrorClass::kProtocolError, "Common Header Parse Error: Unknown Version", 0, {}},
    {ErrorKind::kUnknownType, ErrorClass::kProtocolError, "Common Header Parse Error: Unknown Type", 0, {}},
    {ErrorKind::kInvalidRFlag, ErrorClass::kProtocolError, "Common Header Parse Error: Invalid R-flag", 0, {}},
    {ErrorKind::kIncorrectMessageLength, ErrorClass::kProtocolError,
     "Common Header Parse Error: Incorrect Message Length", 1, InfoType::kMessageLength},
    {ErrorKind::kInvalidEFlag, ErrorClass::kProtocolError, "Common Header Parse Error: Invalid E-flag", 0, {}},
    {ErrorKind::kInvalidCFlag, ErrorClass::kProtocolError, "Common Header Parse Error: Invalid C-flag", 0, {}},
    {ErrorKind::kHopLimitExceeded, ErrorClass::kPermanentFailure, "Hop Limit Exceeded", 0, {}},
    {ErrorKind::kIncorrectEncapsulation, ErrorClass::kProtocolError, "Incorrect Encapsulation", 0, {}},
    {ErrorKind::kIncorrectlyDelivered, ErrorClass::kProtocolError, "Incorrectly Delivered Message", 0, {}},
    {ErrorKind::kNoRoutingState, ErrorClass::kProtocolError, "No Routing State", 0, {}},
    {ErrorKind::kUnknownNslpId, ErrorClass::kPermanentFailure, "Unknown NSLPID", 0, {}},
    {ErrorKind::kEndpointFound, ErrorClass::kPermanentFailure, "Endpoint Found", 0, {}},
    {ErrorKind::kMessageTooLarge, ErrorClass::kPermanentFailure, "Message Too Large", 1, InfoType::kMtu},
    {ErrorKind::kDuplicateObject, ErrorClass::kProtocolError, "Object Type Error: Duplicate Object", 1,
     InfoType::kObjectType},
    {ErrorKind::kUnrecognisedObject, ErrorClass::kProtocolError, "Object Type Error: Unrecognised Object", 1,
     InfoType::kObjectType},
    {ErrorKind::kMissingObject, ErrorClass::kProtocolError, "Object Type Error: Missing Object", 1,
     InfoType::kObjectType},
    {ErrorKind::kInvalidObjectType, ErrorClass::kProtocolError, "Object Type Error: Invalid Object Type", 1,
     InfoType::kObjectType},
    {ErrorKind::kUntranslatedObject, ErrorClass::kProtocolError, "Object Type Error: Untranslated Object", 1,
     InfoType::kObjectType},
    {ErrorKind::kInvalidExtensibilityFlags, ErrorClass::kProtocolError,
     "Object Type Error: Invalid Extensibility Flags", 1, InfoType::kObjectType},
    {ErrorKind::kIncorrectObjectLength, ErrorClass::kProtocolError, "Object Value Error: Incorrect Length", 1,
     InfoType::kObjectValue},
    {ErrorKind::kValueNotSupported, ErrorClass::kProtocolError, "Object Value Error: Value Not Supported", 1,
     InfoType::kObjectValue},
    {ErrorKind::kInvalidFlagFieldCombination, ErrorClass::kProtocolError,
     "Object Value Error: Invalid Flag-Field Combination", 1, InfoType::kObjectValue},
    {ErrorKind::kEmptyList, ErrorClass::kProtocolError, "Object Value Error: Empty List", 1,
     InfoType::kObjectValue},
    {ErrorKind::kInvalidCookie, ErrorClass::kProtocolError, "Object Value Error: Invalid Cookie", 1,
     InfoType::kObjectValue},
    {ErrorKind::kStackMismatch, ErrorClass::kProtocolError,
     "Object Value Error: Stack-Proposal - Stack-Configuration-Data Mismatch", 2, InfoType::kObjectValue},
    {ErrorKind::kInvalidIpTtl, ErrorClass::kPermanentFailure, "Invalid IP-Layer TTL", 0, {}},
    {ErrorKind::kMriTooWild, ErrorClass::kPermanentFailure, "MRI Validation Failure: MRI Too Wild", 1,
     InfoType::kObjectValue},
    {ErrorKind::kIpVersionMismatch, ErrorClass::kPermanentFailure, "MRI Validation Failure: IP Version Mismatch", 1,
     InfoType::kObjectValue},
    {ErrorKind::kIngressFilterFailure, ErrorClass::kPermanentFailure,
     "MRI Validation Failure: Ingress Filter Failure", 1, InfoType::kObjectValue},
});

// Null for a code or subcode that the catalogue lacks (a newer peer's).
constexpr const ErrorRow* find_error(std::uint16_t code, std::uint8_t subcode) {
  for (const ErrorRow& row : kErrorCatalogue)
    if (code_of(row.kind) == code && subcode_of(row.kind) == subcode) return &row;
  return nullptr;
}
constexpr const ErrorRow& row_of(ErrorKind kind) { return *find_error(code_of(kind), subcode_of(kind)); }

}  // namespace netserv::gist
