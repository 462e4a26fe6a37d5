// The one table of NCM response classes and codes. The text syntax, the binary one and docs/ncm-status.md are
// made from it. Classes are those of NSIS's INFO-SPEC object (RFC 5974 section 5.1.3.6), so that the
// signalling side needs no second set; a code's hundreds are its class.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace netserv::ncm {

enum class StatusClass : std::uint8_t {
  kInformational = 1,
  kSuccess = 2,
  kProtocolError = 3,     // the message is wrong, whoever sends it
  kTransientFailure = 4,  // the same request may succeed later
  kPermanentFailure = 5,  // the same request will not succeed
  kSignallingFailure = 6, // between nodes
};

// X(constant, number, meaning)
#define NETSERV_NCM_STATUS_TABLE(X)                                                                           \
  X(kInstalling, 101, "accepted, being downloaded, compiled or started")                                      \
  X(kNotSelected, 102, "this node only passed the message on: the sender chose other nodes")                   \
  X(kOk, 200, "done; the body answers a PROBE")                                                               \
  X(kActive, 201, "the module is active")                                                                     \
  X(kRemoved, 202, "the module is gone (or was not there)")                                                   \
  X(kRefreshed, 203, "the module was there: ttl, filters and properties replaced")                            \
  X(kUnchanged, 204, "this very message was seen before: its current result, nothing changed")                \
  X(kSyntax, 300, "not a NetServ Control Message")                                                            \
  X(kVersion, 301, "protocol version not spoken here")                                                        \
  X(kUnknownVerb, 302, "unknown command")                                                                     \
  X(kUnknownHeader, 303, "header not known, or not known with this command")                                  \
  X(kDuplicateHeader, 304, "header given twice")                                                              \
  X(kMissingHeader, 305, "a header that this node requires is absent")                                        \
  X(kBadValue, 306, "header value out of its syntax or range")                                                \
  X(kTooLarge, 307, "message, header or list over its limit")                                                 \
  X(kBusy, 400, "another request for the same module is being worked on")                                     \
  X(kDraining, 401, "the node's operator is draining it")                                                     \
  X(kOverloaded, 402, "no memory, disk space or other resource of the node left for it now")                  \
  X(kFetchFailed, 403, "the module could not be downloaded")                                                  \
  X(kFetchTimeout, 404, "the download took too long")                                                         \
  X(kContainerFailed, 405, "the service container could not be started or stopped answering")                 \
  X(kInternal, 406, "the node failed; its log says why")                                                      \
  X(kUnknownPublisher, 500, "no such user in this node's configuration")                                      \
  X(kPublisherDisabled, 501, "the node's operator disabled this publisher")                                   \
  X(kUnsigned, 502, "this request must be signed")                                                            \
  X(kBadSignature, 503, "the signature does not match the message and the user's key")                        \
  X(kExpired, 504, "the message is past its expires")                                                         \
  X(kExpiresTooFar, 505, "expires is more than an hour ahead")                                                \
  X(kNonceReused, 506, "the nonce was used in another message")                                               \
  X(kReplayed, 507, "an old message again: sign anew")                                                        \
  X(kFilterNotAllowed, 510, "the filter reaches beyond the publisher's prefixes, ports or protocols")         \
  X(kReservedTraffic, 511, "the filter would match the node's own signalling or management")                  \
  X(kLimitExceeded, 512, "over a limit of the publisher's policy")                                            \
  X(kBlockNotGranted, 513, "the publisher may not use this building block")                                   \
  X(kAddressRefused, 514, "the URL leads to an address that this node does not fetch from or post to")        \
  X(kNotAllowed, 515, "policy does not allow it")                                                             \
  X(kDependencyMissing, 516, "this node has no such building block or version")                               \
  X(kDigestConflict, 517, "this id is installed with another digest: use a new version")                      \
  X(kDigestMismatch, 518, "what was downloaded is not what was signed")                                       \
  X(kModuleTooLarge, 519, "the module file is over the size limit")                                           \
  X(kModuleInvalid, 520, "the file is no module that this node accepts")                                      \
  X(kAbiMismatch, 521, "the module was built for another ABI version")                                        \
  X(kCompileFailed, 522, "the module could not be compiled within limits")                                    \
  X(kStartFailed, 523, "the module did not start")                                                            \
  X(kNotFound, 524, "no such module of this publisher on this node")                                          \
  X(kWrongPath, 526, "toward does not name the destination of the flow that the message came along")          \
  X(kOtherModule, 527, "the module's manifest has another name or version than the id")                       \
  X(kNoAnswer, 600, "nodes further on the path did not answer in time")                                       \
  X(kPathFailed, 601, "the message could not be passed on to the next node")                                  \
  X(kNodeUnavailable, 602, "this node's controller can't be reached")                                         \
  X(kTriggerRefused, 603, "no upstream flow can be opened for this TRIGGER")

enum class StatusCode : std::uint16_t {
#define NETSERV_NCM_ENUMERATOR(constant, number, meaning) constant = number,
  NETSERV_NCM_STATUS_TABLE(NETSERV_NCM_ENUMERATOR)
#undef NETSERV_NCM_ENUMERATOR
};

struct StatusRow {
  StatusCode code;
  std::string_view name;  // the constant without its k
  std::string_view meaning;
};
std::span<const StatusRow> status_table();
// Codes of later versions are not in the table; their class still says what to make of them.
std::optional<StatusRow> find_status(StatusCode code);

constexpr int number(StatusCode code) { return static_cast<int>(code); }
constexpr StatusClass class_of(StatusCode code) { return static_cast<StatusClass>(number(code) / 100); }
constexpr bool is_failure(StatusCode code) { return number(code) >= 300; }
std::string_view to_string(StatusClass status_class);

// docs/ncm-status.md, whole; a test compares.
std::string status_table_markdown();

// An Error that carries `code`; origin kPublisher unless the class says it is the node's.
tl::unexpected<Error> refuse(StatusCode code, std::string subject, std::string text);

// The code of an Error, or kInternal if it carries none.
StatusCode status_of(const Error& error);

}  // namespace netserv::ncm
