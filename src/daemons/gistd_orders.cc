#include "daemons/gistd_orders.h"

namespace netserv::daemons {
namespace {

void put(ByteWriter& out, const std::string& text) {
  out.u32(static_cast<std::uint32_t>(text.size()));
  out.text(text);
}
std::string get(ByteReader& in) {
  const std::size_t size = in.u32();
  return std::string(in.text(size));
}

}  // namespace

Bytes encode_order(const Order& order) {
  ByteWriter out;
  out.u8(order.tls ? 1 : 0);
  if (order.tls)
    for (const std::string* text : {&order.tls->certificate, &order.tls->key, &order.tls->authorities}) put(out, *text);
  for (const std::string& peer : order.peers) put(out, peer);
  return out.take();
}

Result<Order> decode_order(ByteSpan bytes) {
  ByteReader in(bytes);
  Order order;
  if (in.u8() != 0) {
    transport::TlsTexts& tls = order.tls.emplace();
    for (std::string* text : {&tls.certificate, &tls.key, &tls.authorities}) *text = get(in);
  }
  while (in.ok() && in.remaining() > 0) order.peers.push_back(get(in));
  if (!in.ok()) return fail(Origin::kSystem, "order", "cut short");
  return order;
}

}  // namespace netserv::daemons
