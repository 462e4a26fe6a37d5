// Error messages out: RFC 5971, 5.6. Only in reaction to input, never to an Error; no state is made.
#include <fmt/format.h>

#include "gist/core.h"
#include "wire/gist/object_walk.h"

namespace netserv::gist {

void Core::refuse(const DecodeError& error, const Arrival& arrival, TimePoint now) {
  if (!error.answerable) return event(Event::Type::kDropped, error.header.nslp, {}, "unreadable, not answered");
  send_error(error, arrival, false, now);
}

void Core::refuse(ErrorKind kind, const Message& m, const Arrival& arrival, TimePoint now, std::vector<ErrorInfo> info,
                  bool to_ip_source) {
  DecodeError error;
  error.kind = kind;
  error.transport = arrival.transport;
  error.answerable = true;
  error.header = m.header;
  error.session = m.session;
  error.mri = m.mri;
  error.nli = m.nli;
  error.nat_traversal = m.nat_traversal;
  error.info = std::move(info);
  send_error(error, arrival, to_ip_source, now);
}

void Core::send_error(const DecodeError& error, const Arrival& arrival, bool to_ip_source, TimePoint now) {
  Message m;
  m.header.type = static_cast<std::uint8_t>(MessageType::kError);
  m.header.hops = config_.hops;
  m.header.source_is_signalling = true;
  m.nat_traversal = error.nat_traversal;
  m.error = error.to_object();
  event(Event::Type::kErrorSent, error.header.nslp, error.nli ? error.nli->interface_address : IpAddress{}, "",
        m.error->code, m.error->subcode);
  if (arrival.association) {
    if (Result<Bytes> bytes = encode_message(m, Transport::kStream))
      (void)send_on(arrival.association->id, std::move(*bytes), now);
    return;
  }
  const Datagram& in = *arrival.datagram;
  Datagram out;
  if (error.nli && !to_ip_source && !error.nli->interface_address.is_multicast() &&
      !error.nli->interface_address.is_unspecified()) {
    out.destination = error.nli->interface_address;
  } else if (error.header.source_is_signalling) {
    out.destination = in.source;
  } else {
    return event(Event::Type::kDropped, error.header.nslp, in.source, "no address to send an Error to");
  }
  const std::optional<Egress> egress = network_.route(out.destination, {});
  if (!egress) return;
  // 7.2.1: through a legacy NAT the Error has to look like the reply to what came, wherever that was sent to.
  const bool local = network_.is_local(in.destination);
  const bool through_nat = to_ip_source && error.kind == ErrorKind::kUntranslatedObject;
  out.source = to_ip_source && (local || through_nat) ? in.destination : egress->address;
  out.source_port = config_.udp_port;
  out.destination_port = in.source_port;
  m.header.source_is_signalling = local || !through_nat;
  m.nli = own_nli(m.header.source_is_signalling ? out.source : egress->address, 0);
  Bytes payload = fitting(m, out.destination, *egress);
  if (payload.empty())
    return event(Event::Type::kTooLargeForError, error.header.nslp, out.destination, "");
  send_datagram(std::move(payload), m.type(), m.header.nslp, std::move(out), false, now);
}

ErrorInfo Core::mri_info(const Message& m, std::uint16_t value_offset) {
  ByteWriter object;
  (void)encode_object(object, ObjectType::kMri, m);
  return object_value_info(object.view(), static_cast<std::uint16_t>(value_offset + 4));
}

void Core::event(Event::Type type, NslpId nslp, IpAddress peer, std::string text, std::uint16_t code,
                 std::uint8_t subcode) {
  out_.push_back(Event{type, nslp, peer, code, subcode, std::move(text)});
}

}  // namespace netserv::gist
