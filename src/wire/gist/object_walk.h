// The TLV framing of a message's objects (RFC 5971, A.2), and what each known type decodes into. Internal to
// the codec.
#pragma once

#include <cstdint>

#include "wire/gist/fault.h"
#include "wire/gist/message.h"

namespace netserv::gist {

struct RawObject {
  Extensibility extensibility = Extensibility::kMandatory;
  std::uint16_t type = 0;
  ByteSpan value;
  ByteSpan whole;  // with the TLV header
};

// Cuts the next object off. False if its length goes past the end; `value` then holds what is there.
bool next_object(ByteReader& in, RawObject& out);

// Decodes one object of known type into its place in the message.
MaybeFault decode_object(const RawObject& object, Message& into);
// Writes TLV header and value of a known object that `message` has. False if the value is too long or not of
// whole words.
bool encode_object(ByteWriter& out, ObjectType type, const Message& message);
bool has_object(const Message& message, ObjectType type);

void encode_object_header(ByteWriter& out, Extensibility ab, std::uint16_t type, std::size_t words);

}  // namespace netserv::gist
