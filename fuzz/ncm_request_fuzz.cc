// Target: MessageReader, parse_message and parse_request. What is accepted must print and parse back as itself.
#include <cstddef>
#include <cstdint>

#include "wire/ncm/reader.h"
#include "wire/ncm/request.h"

using namespace netserv;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ncm::MessageReader reader;
  reader.feed(std::string_view(reinterpret_cast<const char*>(data), size));
  while (true) {
    auto message = reader.next();
    if (!message || !*message) return 0;
    auto again = ncm::parse_message(ncm::print_message(**message));
    NETSERV_CHECK(again && *again == **message);
    NETSERV_CHECK(ncm::signed_text(*again) == ncm::signed_text(**message));

    auto request = ncm::parse_request(**message);
    if (!request) continue;
    std::string canonical = ncm::print_message(ncm::to_message(request->body, request->signer));
    if (canonical.size() > ncm::kMaxMessageBytes) continue;  // names of protocols can be longer than numbers
    auto parsed = ncm::parse_message(canonical);
    NETSERV_CHECK(parsed);
    auto back = ncm::parse_request(*parsed);
    NETSERV_CHECK(back && back->body == request->body && back->signer == request->signer);
  }
}
