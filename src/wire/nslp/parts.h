// A message that is too large for one GIST NSLP-Data object travels in parts, in order, over an association.
//
//     version:8 type:8 (4) part:8 parts:8 | request id:32 | 0:32 | a piece of the message; all but the last are full
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "wire/nslp/message.h"

namespace netserv::nslp {

struct Part {
  std::uint32_t id = 0;  // the request's
  std::uint8_t number = 0, count = 0;  // from 0; 2 to kMaxParts
  Bytes bytes;
};

bool is_part(ByteSpan payload);
Result<Part> decode_part(ByteSpan payload);
// What encode() made as payloads: itself, or its parts if it is over kMaxPayload.
std::vector<Bytes> split(Bytes message, std::uint32_t id);

// Puts one message together. A part of another request, or of another count, begins a new one.
class Assembly {
 public:
  // The whole message once all parts are there.
  std::optional<Bytes> add(Part part);

 private:
  std::uint32_t id_ = 0;
  std::uint8_t count_ = 0;
  std::array<Bytes, kMaxParts> parts_;
};

}  // namespace netserv::nslp
