// Names and numbers of GIST (RFC 5971): message and object types, identifiers, directions. Values are those on
// the wire (section 9 and appendix A).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/strong_id.h"

namespace netserv::gist {

inline constexpr std::uint16_t kUdpPort = 270;
inline constexpr std::uint32_t kMagic = 0x4e04bda5;  // begins every D-mode datagram (5.3.1)
inline constexpr std::uint8_t kVersion = 1;
inline constexpr std::size_t kHeaderSize = 8;
inline constexpr std::size_t kMaxMessageWords = 0xffff;  // after the common header
inline constexpr std::size_t kMaxObjectWords = 0xfff;    // of a value

// The signalling application a message is for. 0 is GIST itself; 32704-32767 are for private use.
using NslpId = StrongId<struct NslpIdTag, std::uint16_t>;

// 128 bits, cryptographically random, chosen by the signalling application (4.1.3).
struct SessionId {
  std::array<std::byte, 16> bytes{};
  auto operator<=>(const SessionId&) const = default;
  std::string to_string() const { return to_hex(bytes); }
};

enum class MessageType : std::uint8_t { kQuery, kResponse, kConfirm, kData, kError, kMaHello };
inline constexpr std::size_t kMessageTypes = 6;

enum class ObjectType : std::uint16_t {
  kMri = 0,
  kSessionId = 1,
  kNli = 2,
  kStackProposal = 3,
  kStackConfiguration = 4,
  kQueryCookie = 5,
  kResponderCookie = 6,
  kNatTraversal = 7,
  kNslpData = 8,
  kError = 9,
  kHelloId = 10,
};
inline constexpr std::size_t kObjectTypes = 11;

// What a receiver does with an object of a type that it doesn't know (A.2.1); the AB flags.
enum class Extensibility : std::uint8_t { kMandatory = 0, kIgnore = 1, kForward = 2, kReserved = 3 };

// How a message came or goes. Q-mode is a datagram with the C-flag set.
enum class Transport : std::uint8_t { kDatagram, kStream };

// Of a message relative to the flow that its MRI describes; for the loose-end method, kDownstream is towards
// the edge.
enum class Direction : std::uint8_t { kDownstream = 0, kUpstream = 1 };
constexpr Direction inverse(Direction d) {
  return d == Direction::kDownstream ? Direction::kUpstream : Direction::kDownstream;
}

constexpr std::string_view to_string(MessageType type) {
  switch (type) {
    case MessageType::kQuery: return "Query";
    case MessageType::kResponse: return "Response";
    case MessageType::kConfirm: return "Confirm";
    case MessageType::kData: return "Data";
    case MessageType::kError: return "Error";
    case MessageType::kMaHello: return "MA-Hello";
  }
  return "?";
}

constexpr std::string_view to_string(ObjectType type) {
  switch (type) {
    case ObjectType::kMri: return "MRI";
    case ObjectType::kSessionId: return "Session-ID";
    case ObjectType::kNli: return "NLI";
    case ObjectType::kStackProposal: return "Stack-Proposal";
    case ObjectType::kStackConfiguration: return "Stack-Configuration-Data";
    case ObjectType::kQueryCookie: return "Query-Cookie";
    case ObjectType::kResponderCookie: return "Responder-Cookie";
    case ObjectType::kNatTraversal: return "NAT-Traversal";
    case ObjectType::kNslpData: return "NSLP-Data";
    case ObjectType::kError: return "Error";
    case ObjectType::kHelloId: return "Hello-ID";
  }
  return "?";
}

constexpr std::string_view to_string(Direction d) { return d == Direction::kDownstream ? "downstream" : "upstream"; }

}  // namespace netserv::gist

template <>
struct std::hash<netserv::gist::SessionId> {
  // The bytes are random already.
  std::size_t operator()(const netserv::gist::SessionId& id) const {
    std::size_t out;
    std::memcpy(&out, id.bytes.data(), sizeof out);
    return out;
  }
};
