// KeepAlive's SIP core on arbitrary datagrams: never a byte out of bounds, and what is taken for a keep-alive gets
// an answer that ends as a SIP message ends and fits the capacity or is not written.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "keepalive/sip_response.h"

using namespace keepalive;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 65507) return 0;
  static const std::uint8_t kServer[4] = {198, 51, 100, 7}, kClient[4] = {192, 0, 2, 1};
  Target target{4, kServer, 5060, {}, {}};
  if (size % 2) target.domains = "example.com,example.net";
  if (size % 3) target.users = "ping";
  Request request;
  Kind kind = classify({reinterpret_cast<const char*>(data), static_cast<std::uint32_t>(size)}, target, request);
  if (kind != Kind::kNotify && kind != Kind::kOptions) return 0;

  Source source{4, kClient, 40000};
  std::uint64_t tag = make_tag(request, 1);
  std::vector<char> out(size * 2 + 512);
  std::uint32_t whole = write_response(request, source, tag, out.data(), static_cast<std::uint32_t>(out.size()));
  if (whole < 4 || !(Text(out.data() + whole - 4, 4) == Text("\r\n\r\n"))) std::abort();
  for (std::uint32_t capacity : {whole - 1, whole / 2, 0u}) {
    std::vector<char> less(capacity);
    if (write_response(request, source, tag, less.data(), capacity) != 0) std::abort();
  }
  return 0;
}
