// Passing a Query on (RFC 5971, 4.3.2 and 4.3.4): the bytes stay as they are but for the hop count, and the
// NSLP payload if the application gave another. Both take a datagram's payload with the magic number.
#pragma once

#include "base/bytes.h"
#include "wire/gist/types.h"

namespace netserv::gist {

// `payload` holds at least the magic number and a common header.
Bytes with_hops(ByteSpan payload, std::uint8_t hops);

// Replaces the value of the NSLP-Data object, or appends one. Leaves `payload` alone if its objects can't be
// followed or `data` does not fit (whole words, 4095 of them).
Bytes with_nslp_data(ByteSpan payload, ByteSpan data);

}  // namespace netserv::gist
