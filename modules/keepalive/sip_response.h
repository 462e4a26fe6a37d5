// The 200 answer to a keep-alive (RFC 3261 section 8.2.6): the request's Via fields in order, the top one with
// received (section 18.2.1) and rport (RFC 3581 section 4) filled in; From, Call-ID and CSeq as they came; To as it
// came, with a tag if it had none.
#ifndef KEEPALIVE_SIP_RESPONSE_H
#define KEEPALIVE_SIP_RESPONSE_H

#include "keepalive/sip_request.h"

namespace keepalive {

// Who sent the request, as the packet says.
struct Source {
  uint8_t family = 4;
  const uint8_t* address = nullptr;  // 4 or 16 bytes, network order
  uint16_t port = 0;
};

// The same for each retransmission of a request, different for others (RFC 3261 sections 8.2.7 and 19.3). `key` is
// the responder's own.
uint64_t make_tag(const Request& request, uint64_t key);

// Bytes written to out[0..capacity), or 0 if the answer does not fit. `out` must not overlap the request.
uint32_t write_response(const Request& request, const Source& source, uint64_t tag, char* out, uint32_t capacity);

}  // namespace keepalive

#endif  // KEEPALIVE_SIP_RESPONSE_H
