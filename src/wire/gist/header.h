// The common header (RFC 5971, 5.2.1 and A.1).
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "wire/gist/types.h"

namespace netserv::gist {

struct CommonHeader {
  std::uint8_t version = kVersion;
  std::uint8_t hops = 0;     // nodes that may still process the message, the destination included
  std::uint16_t length = 0;  // words after the header; encode_message() sets it
  NslpId nslp{};
  bool context_free = false;             // C
  std::uint8_t type = 0;                 // MessageType, or what an unknown peer sent
  bool source_is_signalling = false;     // S
  bool reply_requested = false;          // R
  bool explicitly_routed = false;        // E
  bool operator==(const CommonHeader&) const = default;

  MessageType message_type() const { return static_cast<MessageType>(type); }
};

// Reads 8 bytes; the reader fails if they are not there. Any values are taken.
CommonHeader decode_header(ByteReader& in);
void encode_header(ByteWriter& out, const CommonHeader& header);

}  // namespace netserv::gist
