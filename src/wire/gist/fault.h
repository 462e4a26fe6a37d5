// What is wrong inside one object, as its decoder sees it: becomes an "Object Value Error" (A.4.4.10).
#pragma once

#include <cstdint>
#include <optional>

#include "wire/gist/error_code.h"

namespace netserv::gist {

struct ObjectFault {
  ErrorKind kind;             // a subcode of code 10
  std::uint16_t offset = 0;   // byte in the object, its 4-byte TLV header included
};

// Decoders return nothing when all is well.
using MaybeFault = std::optional<ObjectFault>;

inline MaybeFault wrong_length(std::size_t value_offset = 0) {
  return ObjectFault{ErrorKind::kIncorrectObjectLength, static_cast<std::uint16_t>(value_offset + 4)};
}
inline MaybeFault unsupported(std::size_t value_offset) {
  return ObjectFault{ErrorKind::kValueNotSupported, static_cast<std::uint16_t>(value_offset + 4)};
}

constexpr std::size_t padding_to_word(std::size_t bytes) { return (4 - bytes % 4) % 4; }

}  // namespace netserv::gist
