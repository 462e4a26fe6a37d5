// Target: nslp::decode_part and Assembly. The input is a sequence of payloads, each after its length in words. Whatever
// comes in whichever order, what is put together is no larger than a message, and if it is too large for one payload, it
// splits into parts that make it again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "wire/nslp/parts.h"

using namespace netserv;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader in(ByteSpan(reinterpret_cast<const std::byte*>(data), size));
  nslp::Assembly assembly;
  while (in.remaining() >= 2) {
    const std::size_t words = in.u16();
    auto part = nslp::decode_part(in.take(std::min<std::size_t>(4 * words, in.remaining())));
    if (!part) continue;
    const std::uint32_t id = part->id;
    const auto whole = assembly.add(*std::move(part));
    if (!whole) continue;
    NETSERV_CHECK(whole->size() <= nslp::kMaxMessage);
    if (whole->size() <= nslp::kMaxPayload) continue;
    nslp::Assembly again;
    std::optional<Bytes> made;
    for (const Bytes& payload : nslp::split(*whole, id)) {
      auto piece = nslp::decode_part(payload);
      NETSERV_CHECK(piece);
      made = again.add(*std::move(piece));
    }
    NETSERV_CHECK(made == whole);
  }
  return 0;
}
