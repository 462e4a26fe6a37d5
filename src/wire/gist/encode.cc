#include <utility>

#include "wire/gist/message.h"
#include "wire/gist/object_walk.h"

namespace netserv::gist {
namespace {

tl::unexpected<Error> refuse(const Message& m, std::string text) {
  return fail(Origin::kPeer, "GIST " + std::string(to_string(m.type())), std::move(text));
}

bool values_fit(const Message& m) {
  if (m.mri && !is_valid(*m.mri)) return false;
  if (m.nat_traversal && !is_valid(m.nat_traversal->original_mri)) return false;
  if (m.error && m.error->mri && !is_valid(*m.error->mri)) return false;
  if (m.nli && (m.nli->peer_identity.size() > 255 || m.nli->validity.count() == 0)) return false;
  if (m.stack_configuration && m.stack_configuration->hold_time.count() == 0) return false;
  if (m.stack_configuration && m.stack_configuration->options.size() > 255) return false;
  if (m.stack_proposal && (m.stack_proposal->profiles.empty() || m.stack_proposal->profiles.size() > 255)) return false;
  if (m.nat_traversal && (m.nat_traversal->translated.size() > 255 || m.nat_traversal->replaced.size() > 255))
    return false;
  if (m.error && m.error->info.size() > 255) return false;
  for (const ForwardedObject& o : m.forwarded)
    if (o.value.size() % 4 != 0 || o.value.size() / 4 > kMaxObjectWords) return false;
  return !(m.query_cookie && m.query_cookie->empty()) && !(m.responder_cookie && m.responder_cookie->empty());
}

void encode_forwarded(ByteWriter& out, const Message& m, std::size_t known_objects, std::size_t& next) {
  for (; next < m.forwarded.size() && m.forwarded[next].after <= known_objects; ++next) {
    const ForwardedObject& o = m.forwarded[next];
    encode_object_header(out, Extensibility::kForward, o.type, o.value.size() / 4);
    out.bytes(o.value);
  }
}

Status encode(ByteWriter& out, const Message& m, Transport transport) {
  if (m.header.type >= kMessageTypes) return refuse(m, "unknown message type");
  if (!values_fit(m)) return refuse(m, "a value that its object can't hold");
  const MessageRow& row = kGrammar[m.header.type];
  if (!row.allowed_in(transport)) return refuse(m, "wrong encapsulation for this type");
  const std::size_t start = out.size();
  encode_header(out, m.header);
  std::size_t known = 0, next_forwarded = 0;
  std::uint16_t seen = 0;
  encode_forwarded(out, m, known, next_forwarded);
  for (const ObjectSlot& slot : row.slots) {
    if (!has_object(m, slot.type)) {
      if (slot.in(transport) == Presence::kRequired) return refuse(m, "lacks its " + std::string(to_string(slot.type)));
      continue;
    }
    if (slot.in(transport) == Presence::kForbidden) return refuse(m, "can't carry " + std::string(to_string(slot.type)));
    if (!encode_object(out, slot.type, m)) return refuse(m, std::string(to_string(slot.type)) + " of a wrong size");
    seen |= bit(slot.type);
    encode_forwarded(out, m, ++known, next_forwarded);
  }
  encode_forwarded(out, m, 0xff, next_forwarded);
  for (const ObjectSlot& slot : row.slots)
    if ((seen & bit(slot.type)) && (slot.needs & ~seen))
      return refuse(m, std::string(to_string(slot.type)) + " without its companion");
  for (unsigned t = 0; t < kObjectTypes; ++t)
    if (!(seen >> t & 1) && has_object(m, static_cast<ObjectType>(t)))
      return refuse(m, "can't carry " + std::string(to_string(static_cast<ObjectType>(t))));
  const std::size_t words = (out.size() - start - kHeaderSize) / 4;
  if (words > kMaxMessageWords) return refuse(m, "too long");
  out.patch_u16(start + 2, static_cast<std::uint16_t>(words));
  return {};
}

}  // namespace

Result<Bytes> encode_message(const Message& message, Transport transport) {
  ByteWriter out;
  NETSERV_TRY(encode(out, message, transport));
  return out.take();
}

Result<Bytes> encode_datagram(const Message& message) {
  ByteWriter out;
  out.u32(kMagic);
  NETSERV_TRY(encode(out, message, Transport::kDatagram));
  return out.take();
}

}  // namespace netserv::gist
