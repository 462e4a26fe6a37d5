// A line of the operator's socket: a request, or an error with the NCM status that the client is told.
#include <cstdint>

#include "daemons/netservd/admin_request.h"
#include "wire/ncm/status.h"

using namespace netserv;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto request = daemon::decode_admin_request(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!request) NETSERV_CHECK(ncm::is_failure(ncm::status_of(request.error())));
  return 0;
}
