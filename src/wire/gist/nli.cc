#include "wire/gist/nli.h"

namespace netserv::gist {

MaybeFault decode_nli(ByteSpan value, Nli& out) {
  ByteReader in(value);
  const std::uint8_t identity_length = in.u8();
  out.ip_ttl = in.u8();
  const unsigned version = in.u16() >> 12;
  out.validity = Milliseconds(in.u32());
  if (!in.ok()) return wrong_length();
  if (version != 4 && version != 6) return unsupported(2);
  if (out.validity.count() == 0) return unsupported(4);
  const unsigned address_size = version == 4 ? 4 : 16;
  const ByteSpan identity = in.take(identity_length);
  in.skip(padding_to_word(identity_length));
  const ByteSpan address = in.take(address_size);
  if (!in.at_end()) return wrong_length();
  out.peer_identity.assign(identity.begin(), identity.end());
  out.interface_address = IpAddress::from_bytes(address);
  return {};
}

void encode_nli(ByteWriter& out, const Nli& nli) {
  out.u8(static_cast<std::uint8_t>(nli.peer_identity.size()));
  out.u8(nli.ip_ttl);
  out.u16(nli.interface_address.is_v4() ? 0x4000 : 0x6000);
  out.u32(nli.validity.count());
  out.bytes(nli.peer_identity);
  out.zeros(padding_to_word(nli.peer_identity.size()));
  out.bytes(nli.interface_address.bytes());
}

}  // namespace netserv::gist
