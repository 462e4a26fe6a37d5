// decode_message() and StreamSplitter on arbitrary bytes. The first byte chooses the transport. Accepted input
// must encode, and decode to the same again.
#include <cstdint>
#include <cstdlib>

#include "wire/gist/message.h"
#include "wire/gist/stream.h"

using namespace netserv;
using namespace netserv::gist;

namespace {

void check(ByteSpan bytes, Transport transport) {
  DecodeResult m = decode_message(bytes, transport);
  if (!m) {
    Message answer;
    answer.header.type = static_cast<std::uint8_t>(MessageType::kError);
    answer.header.hops = 1;
    answer.error = m.error().to_object();
    answer.nli = Nli{};
    (void)encode_datagram(answer);
    return;
  }
  const Result<Bytes> encoded = encode_message(*m, transport);
  if (!encoded) std::abort();
  const DecodeResult again = decode_message(*encoded, transport);
  if (!again) std::abort();
  m->header.length = again->header.length;
  if (*again != *m) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteSpan bytes = std::as_bytes(std::span(data + 1, size - 1));
  if (data[0] % 3 == 0) check(bytes, Transport::kDatagram);
  if (data[0] % 3 == 1) check(bytes, Transport::kStream);
  if (data[0] % 3 == 2) {
    StreamSplitter splitter;
    for (std::size_t at = 0; at < bytes.size(); at += 7) {
      splitter.append(bytes.subspan(at, std::min<std::size_t>(7, bytes.size() - at)));
      for (ByteSpan m = splitter.next(); !m.empty(); m = splitter.next()) check(m, Transport::kStream);
    }
  }
  return 0;
}
