#include "wire/gist/nat_traversal.h"

#include <algorithm>

namespace netserv::gist {

bool NatTraversal::lists(ObjectType type) const {
  return std::any_of(translated.begin(), translated.end(),
                     [type](std::uint16_t t) { return (t & 0x0fff) == static_cast<std::uint16_t>(type); });
}

MaybeFault decode_nat_traversal(ByteSpan value, NatTraversal& out) {
  ByteReader in(value);
  const std::size_t mri_size = in.u8() * 4u;
  const std::uint8_t types = in.u8();
  const std::uint8_t nats = in.u8();
  in.skip(1);
  const ByteSpan mri = in.take(mri_size);
  if (!in.ok()) return wrong_length();
  if (auto fault = decode_mri(mri, out.original_mri)) {
    fault->offset = static_cast<std::uint16_t>(fault->offset + 4);
    return fault;
  }
  ByteReader list = in.sub(types * 2u);
  in.skip(padding_to_word(types * 2u));
  if (!in.ok()) return wrong_length(4 + mri_size);
  out.translated.clear();
  while (list.remaining() > 0) out.translated.push_back(list.u16());
  out.replaced.clear();
  for (unsigned i = 0; i < nats; ++i) {
    const std::size_t at = in.position();
    const std::uint16_t length = in.u16();
    const ByteSpan data = in.take(length);
    in.skip(padding_to_word(length + 2u));
    if (!in.ok()) return wrong_length(at);
    out.replaced.emplace_back(data.begin(), data.end());
  }
  if (!in.at_end()) return wrong_length(in.position());
  return {};
}

void encode_nat_traversal(ByteWriter& out, const NatTraversal& nat) {
  const std::size_t start = out.size();
  out.u16(0);  // MRI-Length and Type-Count, when the former is known
  out.u8(static_cast<std::uint8_t>(nat.replaced.size()));
  out.u8(0);
  encode_mri(out, nat.original_mri);
  const std::size_t mri_words = (out.size() - start - 4) / 4;
  out.patch_u16(start, static_cast<std::uint16_t>(mri_words << 8 | (nat.translated.size() & 0xff)));
  for (std::uint16_t type : nat.translated) out.u16(type);
  out.zeros(padding_to_word(nat.translated.size() * 2));
  for (const Bytes& data : nat.replaced) {
    out.u16(static_cast<std::uint16_t>(data.size()));
    out.bytes(data);
    out.zeros(padding_to_word(data.size() + 2));
  }
}

}  // namespace netserv::gist
