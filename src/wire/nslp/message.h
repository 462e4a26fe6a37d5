// The NetServ NSLP's messages, the binary form of NetServ Control Messages (NCM): the NSLP-Data of GIST messages.
// docs/nslp.md has the layout in pictures.
//
// A request carries an NCM with every header unchanged, known or not, so that signed_text() of what comes out is
// that of what went in, byte for byte, and the signature still verifies. A response carries the response stack: an
// entry for each node that the request visited, the one nearest to the sender first.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "wire/ip/address.h"
#include "wire/ncm/message.h"
#include "wire/ncm/response.h"

namespace netserv::nslp {

inline constexpr std::uint8_t kVersion = 1;
// One GIST NSLP-Data object holds no more (RFC 5971, A.2: 12 bits of words).
inline constexpr std::size_t kMaxPayload = 4 * 0xfff;
// What is larger goes in parts (parts.h).
inline constexpr std::size_t kMaxParts = 3;
inline constexpr std::size_t kMaxMessage = kMaxParts * (kMaxPayload - 12);
inline constexpr std::size_t kMaxEntries = 64;
inline constexpr std::size_t kMaxForeignObjects = 16;
inline constexpr std::size_t kMaxEntryBody = 12 * 1024;

// An object of a later version that is to be passed on as it came (flags AB = 10).
struct ForeignObject {
  std::uint16_t type = 0;  // 12 bits
  Bytes value;             // whole words
  bool operator==(const ForeignObject&) const = default;
};

struct Request {
  // The NCM is to be sent back upstream by the last node, instead of being acted on along this flow.
  bool trigger = false;
  std::uint8_t acted = 0;  // nodes that acted without failing so far, for nodes:first=N
  std::uint32_t id = 0;    // in its session; grows with each request that is not a retransmission
  std::chrono::milliseconds time_left{};  // until the sender gives up; less at each node; at most 2^32-1
  ncm::Message ncm;
  std::vector<ForeignObject> foreign;
  bool operator==(const Request&) const = default;
};

using Microseconds = std::chrono::duration<std::uint32_t, std::micro>;

// What one node answered.
struct Entry {
  std::string node;   // its name, at most ncm::kMaxNodeName characters of is_node_name()
  IpAddress address;  // unspecified if it does not tell
  ncm::StatusCode code = ncm::StatusCode::kOk;
  std::string object;
  std::string text;
  std::string state;
  std::string body;             // JSON: what a PROBE asked for
  bool body_left_out = false;   // there was one, but it did not fit
  Microseconds residence{};     // from the request's arrival to the response's leaving
  Microseconds wait{};          // of that, waiting for the next node; 0 at the last one
  bool operator==(const Entry&) const = default;
};

struct Response {
  std::uint32_t id = 0;  // the request's
  std::vector<Entry> stack;
  std::vector<ForeignObject> foreign;
  bool operator==(const Response&) const = default;
};

using Message = std::variant<Request, Response>;

// Whole words. Errors: code kTooLarge if it would be over kMaxMessage; kSyntax if it holds what an NCM may not.
Result<Bytes> encode(const Message& message);
// Errors: class 3 of ncm/status.h.
Result<Message> decode(ByteSpan payload);

// The entry that says what a node's controller answered. Fields are cut to what the binary form takes.
Entry to_entry(const ncm::Response& response, std::string node, const IpAddress& address);
// Makes the response encode to at most `limit` bytes: leaves out the largest bodies first, then foreign objects, then
// texts, then objects, then the farthest entries.
void shrink(Response& response, std::size_t limit);

// Round-trip times of signalling to each node of a stack, without the time that nodes took for themselves. `first_wait`
// is the sender's own, from sending the request to the answer.
std::vector<Microseconds> round_trips(const std::vector<Entry>& stack, Microseconds first_wait);

}  // namespace netserv::nslp
