#include "gist/forward.h"

#include "wire/gist/header.h"
#include "wire/gist/object_walk.h"

namespace netserv::gist {

Bytes with_hops(ByteSpan payload, std::uint8_t hops) {
  Bytes out(payload.begin(), payload.end());
  out[5] = std::byte{hops};
  return out;
}

Bytes with_nslp_data(ByteSpan payload, ByteSpan data) {
  const Bytes as_it_is(payload.begin(), payload.end());
  if (data.size() % 4 != 0 || data.size() / 4 > kMaxObjectWords) return as_it_is;
  ByteWriter out;
  out.bytes(payload.first(4 + kHeaderSize));
  ByteReader in(payload.subspan(4 + kHeaderSize));
  bool replaced = false;
  const auto put = [&](Extensibility ab) {
    encode_object_header(out, ab, static_cast<std::uint16_t>(ObjectType::kNslpData), data.size() / 4);
    out.bytes(data);
    replaced = true;
  };
  while (in.remaining() > 0) {
    RawObject object;
    if (!next_object(in, object)) return as_it_is;
    if (object.type == static_cast<std::uint16_t>(ObjectType::kNslpData) && !replaced) {
      put(object.extensibility);
    } else {
      out.bytes(object.whole);
    }
  }
  if (!replaced) put(Extensibility::kMandatory);
  const std::size_t words = (out.size() - 4 - kHeaderSize) / 4;
  if (words > kMaxMessageWords) return as_it_is;
  out.patch_u16(6, static_cast<std::uint16_t>(words));
  return out.take();
}

}  // namespace netserv::gist
