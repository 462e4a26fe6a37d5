#include "wire/gist/header.h"

namespace netserv::gist {

CommonHeader decode_header(ByteReader& in) {
  CommonHeader h;
  h.version = in.u8();
  h.hops = in.u8();
  h.length = in.u16();
  h.nslp = NslpId(in.u16());
  const std::uint8_t type = in.u8();
  h.context_free = type & 0x80;
  h.type = type & 0x7f;
  const std::uint8_t flags = in.u8();
  h.source_is_signalling = flags & 0x80;
  h.reply_requested = flags & 0x40;
  h.explicitly_routed = flags & 0x20;
  return h;
}

void encode_header(ByteWriter& out, const CommonHeader& h) {
  out.u8(h.version);
  out.u8(h.hops);
  out.u16(h.length);
  out.u16(h.nslp.value());
  out.u8(static_cast<std::uint8_t>((h.context_free ? 0x80 : 0) | (h.type & 0x7f)));
  out.u8(static_cast<std::uint8_t>((h.source_is_signalling ? 0x80 : 0) | (h.reply_requested ? 0x40 : 0) |
                                   (h.explicitly_routed ? 0x20 : 0)));
}

}  // namespace netserv::gist
