// The ping NSLP: shows which nodes of a path speak GIST, and how far they are. A Request travels downstream from node
// to node; each answers with an Echo upstream and passes the Request on; the last one adds an End. Pure.
//
// Payload, big-endian: version 1, kind, sequence (2 bytes); hop, name length, address length (4, 16 or 0), 0;
// the originator's time stamp (8 bytes, opaque to all others); address; name; zeros up to a whole word.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "wire/gist_api/api.h"
#include "wire/ip/address.h"

namespace netserv::transport {

inline constexpr std::uint16_t kPingNslp = 32767;  // of the range for private use

struct Ping {
  enum class Kind : std::uint8_t { kRequest = 1, kEcho = 2, kEnd = 3 };
  Kind kind = Kind::kRequest;
  std::uint16_t sequence = 0;
  std::uint8_t hop = 0;  // of a Request: nodes behind it; else the node that speaks, the first is 1
  std::uint64_t stamp = 0;
  std::optional<IpAddress> address;  // of the node that speaks, on the side of the originator
  std::string name;                  // at most 64 bytes
  bool operator==(const Ping&) const = default;
};
Bytes encode_ping(const Ping& ping);
std::optional<Ping> decode_ping(ByteSpan bytes);

// What a node on the path does. The caller sends what comes back, in order.
class PingResponder {
 public:
  explicit PingResponder(std::string name) : name_(std::move(name)) {}
  // `own` is this node's address towards the flow's source.
  std::vector<gist::SendMessage> on_message(const gist::RecvMessage& message, const IpAddress& own);
  // Of a message whose handle came from on_message().
  std::vector<gist::SendMessage> on_status(const gist::MessageStatus& status);

 private:
  struct Passed {
    gist::RecvMessage request;
    Ping ping;
    IpAddress own;
  };
  static constexpr std::size_t kMaxPassed = 1024;
  std::string name_;
  std::uint64_t last_handle_ = 0;
  std::vector<std::pair<std::uint64_t, Passed>> passed_;  // Requests passed on, oldest first
};

}  // namespace netserv::transport
