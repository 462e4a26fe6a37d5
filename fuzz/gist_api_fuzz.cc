// decode_api_message() on arbitrary packets; what it accepts must encode to the same bytes, up to what it ignores.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "wire/gist_api/codec.h"

using namespace netserv;
using namespace netserv::gist;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Result<ApiMessage> m = decode_api_message(std::as_bytes(std::span(data, size)));
  if (!m) return 0;
  const Result<ApiMessage> again = decode_api_message(encode_api_message(*m));
  if (!again || !(*again == *m)) std::abort();
  return 0;
}
