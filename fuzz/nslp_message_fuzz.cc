// Target: nslp::decode. What is accepted encodes again to what decodes to itself, and a request's NCM is one that the
// text form accepts, with the same signed text. Stacks that are accepted can be made to fit any limit.
#include <cstddef>
#include <cstdint>

#include "wire/nslp/message.h"

using namespace netserv;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto message = nslp::decode(ByteSpan(reinterpret_cast<const std::byte*>(data), size));
  if (!message) return 0;
  auto bytes = nslp::encode(*message);
  NETSERV_CHECK(bytes);
  auto again = nslp::decode(*bytes);
  NETSERV_CHECK(again && *again == *message);
  if (const auto* request = std::get_if<nslp::Request>(&*message)) {
    auto text = ncm::parse_message(ncm::print_message(request->ncm));
    NETSERV_CHECK(text && ncm::signed_text(*text) == ncm::signed_text(request->ncm));
    return 0;
  }
  auto response = std::get<nslp::Response>(*message);
  nslp::shrink(response, size / 2);
  auto small = nslp::encode(response);
  NETSERV_CHECK(small);
  return 0;
}
