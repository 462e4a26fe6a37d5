// The objects inside a message: GIST's TLV form with its extensibility flags (RFC 5971, A.2), and the content of each
// type. Used by codec.cc alone.
#pragma once

#include "wire/nslp/message.h"

namespace netserv::nslp {

enum class ObjectType : std::uint16_t { kCommand = 1, kHeader = 2, kEntry = 3 };

// How a node treats an object of a type that it doesn't know.
enum class Extensibility : std::uint8_t { kMandatory = 0, kIgnore = 1, kForward = 2, kReserved = 3 };

struct RawObject {
  std::uint16_t type = 0;
  Extensibility flags = Extensibility::kMandatory;
  ByteSpan value;  // whole words
};

// The next object; the reader must not be at its end.
Result<RawObject> read_object(ByteReader& in);
// Pads `value` to whole words. False if it is too long for an object.
bool write_object(ByteWriter& out, std::uint16_t type, Extensibility flags, Bytes value);

Bytes encode_command(const ncm::Message& ncm);
Status decode_command(ByteSpan value, ncm::Message& out);
Bytes encode_header(const ncm::Header& header);
Result<ncm::Header> decode_header(ByteSpan value);
Bytes encode_entry(const Entry& entry);
Result<Entry> decode_entry(ByteSpan value);

}  // namespace netserv::nslp
