// Packets as strangers make them, through the modules' header views and the node's own parser: no view leaves the
// packet, and a packet whose checksums were made is one that parses the same.
#include <algorithm>
#include <cstdlib>

#include "netserv/address.h"
#include "netserv/headers.h"
#include "wire/ip/packet.h"

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

void check_within(const std::uint8_t* data, std::size_t size, netserv_piece piece) {
  check(piece.length == 0 || (piece.data >= data && piece.data + piece.length <= data + size));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace netserv;
  netserv_ip ip;
  if (netserv_parse_ip(data, static_cast<std::uint32_t>(size), &ip)) {
    check_within(data, size, ip.payload);
    netserv_udp udp;
    if (netserv_parse_udp(&ip, &udp)) check_within(data, size, udp.payload);
    netserv_tcp tcp;
    if (netserv_parse_tcp(&ip, &tcp)) check_within(data, size, tcp.payload);
  }

  netserv_address address;
  if (netserv_parse_address(reinterpret_cast<const char*>(data), static_cast<std::uint32_t>(size), &address)) {
    char text[64];
    const std::uint32_t length = netserv_format_address(address.family, address.bytes, text);
    netserv_address again;
    check(length <= sizeof text && netserv_parse_address(text, length, &again) && again.family == address.family &&
          std::equal(again.bytes, again.bytes + 16, address.bytes));
  }

  const ByteSpan packet(reinterpret_cast<const std::byte*>(data), size);
  const auto headers = parse_packet(packet);
  Bytes copy(packet.begin(), packet.end());
  if (fix_checksums(copy)) {
    const auto again = parse_packet(copy);
    check(headers && again && again->source == headers->source && again->destination == headers->destination &&
          again->protocol == headers->protocol && again->destination_port == headers->destination_port);
    Bytes twice = copy;
    check(fix_checksums(twice) && twice == copy);
  }
  return 0;
}
