// ICMP errors about Queries: the end of the path, and its MTU. They can be forged by whoever knows a session's id.
#include "gist/core.h"

namespace netserv::gist {
namespace {

// IPv4's; what names a smaller one is no report of a path.
constexpr std::uint16_t kLeastMtu = 68;

}  // namespace

// The Querying-SM whose Query an ICMP error quotes. The quotation may be cut short; MRI and session are at the front.
// `shown`: the cookie is in it, so that whoever sent it has seen the Query.
Querying* Core::quoted_query(ByteSpan quoted, bool& shown) {
  DecodeResult m = decode_datagram(quoted);
  std::optional<Mri> mri;
  std::optional<SessionId> session;
  CommonHeader header;
  if (m) {
    mri = m->mri, session = m->session, header = m->header;
    if (m->nat_traversal) mri = m->nat_traversal->original_mri;  // it was translated on its way
  } else {
    mri = m.error().mri, session = m.error().session, header = m.error().header;
    if (m.error().nat_traversal) mri = m.error().nat_traversal->original_mri;
  }
  if (!mri || !session || header.message_type() != MessageType::kQuery) return nullptr;
  Querying* q = queriers_.find({*mri, *session, header.nslp});
  shown = q && m && q->has_cookie(*m->query_cookie);
  return m && !shown ? nullptr : q;
}

Outputs Core::on_port_unreachable(ByteSpan quoted, TimePoint now) {
  bool shown = false;
  Querying* q = quoted_query(quoted, shown);
  if (!q) return take();
  const Handshake& h = *q->handshake;
  if (shown) end_hosts_.answered(end_in_direction(q->key.mri), h.egress, now - h.asked, now);
  querying_event(*q, QueryingEvent::kEndpointReached, now);
  return take();
}

// Queries must not be fragmented (5.3.2.1): what they carry goes over an association then, and the Query goes again.
Outputs Core::on_packet_too_big(ByteSpan quoted, std::uint16_t mtu, TimePoint now) {
  bool shown = false;
  Querying* q = quoted_query(quoted, shown);
  if (!q || mtu < kLeastMtu || (q->path_mtu && mtu >= q->path_mtu)) return take();
  q->path_mtu = mtu;
  if (q->state == QueryingState::kAwaitingResponse && q->riding)
    querying_event(*q, QueryingEvent::kNoRoutingState, now);
  return take();
}

}  // namespace netserv::gist
