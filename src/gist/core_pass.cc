// Queries and other Q-mode messages that this node takes no part in: RFC 5971, 4.3.4 and 4.3.2.
#include "gist/core.h"
#include "gist/forward.h"
#include "wire/gist/object_walk.h"

namespace netserv::gist {
namespace {

// The MRI as the first object or behind a NAT-Traversal object; empty if there is none that we understand.
std::optional<Mri> find_mri(ByteSpan payload) {
  ByteReader in(payload.subspan(4 + kHeaderSize));
  RawObject object;
  while (in.remaining() > 0 && next_object(in, object)) {
    if (object.type != static_cast<std::uint16_t>(ObjectType::kMri)) continue;
    Mri mri;
    if (decode_mri(object.value, mri)) return std::nullopt;
    return mri;
  }
  return std::nullopt;
}

}  // namespace

// Only the common header, and the MRI for its wildcards, may be looked at here.
void Core::pass_unknown_nslp(const Datagram& datagram, const CommonHeader& header, TimePoint now) {
  const Arrival arrival{Transport::kDatagram, &datagram, nullptr};
  if (network_.is_local(datagram.destination)) {
    // Case 5: the flow ends here. MRI and session go back uninterpreted.
    DecodeResult message = decode_datagram(datagram.payload);
    if (!message) return refuse(message.error(), arrival, now);
    const bool query = message->type() == MessageType::kQuery;
    return refuse(query ? ErrorKind::kEndpointFound : ErrorKind::kUnknownNslpId, *message, arrival, now);
  }
  pass_query(datagram, header, {}, now);
}

// `read` is the message if the application was asked, and so it was read anyway.
void Core::pass_query(const Datagram& datagram, const CommonHeader& header, const std::optional<Bytes>& data,
                      TimePoint now, const Message* read) {
  const Arrival arrival{Transport::kDatagram, &datagram, nullptr};
  const auto refuse_unread = [&](ErrorKind kind, std::vector<ErrorInfo> info) {
    DecodeError error;
    error.kind = kind;
    error.answerable = true;
    error.header = header;
    error.info = std::move(info);
    if (read) error.mri = read->mri, error.session = read->session, error.nli = read->nli;
    send_error(error, arrival, !read, now);
  };
  if (header.hops <= 1) return refuse_unread(ErrorKind::kHopLimitExceeded, {});
  const std::optional<Egress> egress = network_.route(datagram.destination, datagram.source);
  const std::size_t packet = datagram.payload.size() + 64;  // 4.3.3's allowance for IP and UDP
  if (egress && egress->mtu < 576 && packet > egress->mtu)
    return refuse_unread(ErrorKind::kMessageTooLarge, {mtu_info(egress->mtu)});
  if (const std::optional<Mri> mri = find_mri(datagram.payload)) {
    const auto* path = std::get_if<PathCoupledMri>(&*mri);
    const bool v4 = destination_of(*mri).is_v4();
    const unsigned least = v4 ? config_.min_destination_prefix_v4 : config_.min_destination_prefix_v6;
    if (path && path->destination_prefix < least) {
      ByteWriter object, value;
      encode_mri(value, *mri);
      encode_object_header(object, Extensibility::kMandatory, 0, value.size() / 4);
      object.bytes(value.view());
      return refuse_unread(ErrorKind::kMriTooWild, {object_value_info(object.view(), 4 + 4 + (v4 ? 9 : 33))});
    }
  }
  Datagram onward = datagram;
  onward.payload = with_hops(datagram.payload, static_cast<std::uint8_t>(header.hops - 1));
  if (data) onward.payload = with_nslp_data(onward.payload, *data);
  forward(std::move(onward), header.nslp);
}

// As IP would: one hop less, silence at the end of its life.
void Core::forward(Datagram datagram, NslpId nslp) {
  if (datagram.ttl <= 1) return event(Event::Type::kDropped, nslp, datagram.source, "IP TTL exceeded");
  --datagram.ttl;
  out_.push_back(ForwardDatagram{std::move(datagram), nslp});
}

}  // namespace netserv::gist
