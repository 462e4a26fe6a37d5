// Tells NAT keep-alives from everything else that arrives at a SIP server's UDP port. Pure: no allocation, no
// state, nothing kept but views of the datagram.
//
// A keep-alive is one of
//   crlf     the datagram CR LF CR LF (RFC 5626 section 3.5.1's ping)
//   silent   four zero bytes: sent to keep a binding, never answered
//   NOTIFY   with one Event header (or o) whose type is keep-alive, any parameters
//   OPTIONS  that is a ping of the server rather than a query of what a user can do: the Request-URI is a sip:
//            URI without user part (RFC 3261 section 11.1: then it is addressed to the server itself) or with
//            one listed in `users`; its host is the datagram's destination address or, being a name, listed
//            in `domains` (any name if that list is empty); its port, if any, is the destination port; To has
//            no tag (else it probes a dialog); there is no Route (it would travel on); Max-Forwards, if there,
//            is not 0 (a traceroute asks who is here, and that is not us).
// and both requests are well-formed as far as a correct answer depends on it: version SIP/2.0; From, To, Call-ID
// and CSeq once each and sound, CSeq naming the method; at least one Via, all sound, the top one over UDP,
// without received, maddr or a filled-in rport; no Require or Proxy-Require (an answer would have to know the
// extension); no body. All other datagrams are kOther: the server's.
#ifndef KEEPALIVE_SIP_REQUEST_H
#define KEEPALIVE_SIP_REQUEST_H

#include "keepalive/sip_cursor.h"

namespace keepalive {

enum class Kind : uint8_t { kOther, kCrlf, kSilent, kNotify, kOptions };

// Where the datagram was going.
struct Target {
  uint8_t family = 4;
  const uint8_t* address = nullptr;  // 4 or 16 bytes, network order
  uint16_t port = 0;
  Text domains;  // comma list, any case
  Text users;    // comma list
};

inline constexpr uint32_t kMaxViaLines = 16;

// What an answer is made of; views of the datagram.
struct Request {
  Text via[kMaxViaLines];  // values of the Via header fields, each maybe several comma-separated, in order
  uint32_t via_lines = 0;
  Text from, to, call_id, cseq;
  bool to_has_tag = false;
  Text sent_by_host;         // of the top Via, IPv6 with its brackets
  uint32_t top_via_end = 0;  // where the first element of via[0] ends
  uint32_t rport_end = 0;    // behind the name rport in it; 0 if there is none
};

// Fills `out` for kNotify and kOptions only.
Kind classify(Text datagram, const Target& target, Request& out);

}  // namespace keepalive

#endif  // KEEPALIVE_SIP_REQUEST_H
