// Target: ResponseReader. What is accepted must print to something that prints as itself again.
#include <cstddef>
#include <cstdint>

#include "wire/ncm/reader.h"

using namespace netserv;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ncm::ResponseReader reader;
  reader.feed(std::string_view(reinterpret_cast<const char*>(data), size));
  while (true) {
    auto response = reader.next();
    if (!response || !*response) return 0;
    std::string printed = ncm::print_response(**response);
    auto again = ncm::parse_response(printed);
    NETSERV_CHECK(again && ncm::print_response(*again) == printed);
  }
}
