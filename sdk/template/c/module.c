/* @NAME@: drops the UDP datagrams to one port, and counts them. A start; make it yours.
 *
 * Property: port (default 9).
 */
#include <netserv/address.h>
#include <netserv/headers.h>
#include <netserv/module.h>

NETSERV_MANIFEST({"name": "@NAME@", "version": "1.0.0", "abi": 1, "kind": ["packet"],
                  "blocks": ["packet/1", "log/1", "properties/1", "counters/1"]})

static uint32_t port = 9;

/* The node calls it once before the first packet. Not 0: the installation fails with that code. */
NETSERV_EXPORT(netserv_start) int32_t netserv_start(void) {
  char text[8];
  int32_t length = netserv_properties_get("port", 4, text, sizeof text);
  if (length < 0) return 0; /* not given */
  if (length > (int32_t)sizeof text || !netserv_parse_u32(text, (uint32_t)length, 65535, &port)) {
    NETSERV_LOG(NETSERV_ERROR, "port is no number from 0 to 65535");
    return 1;
  }
  return 0;
}

static void on_packet(struct netserv_packet* p) {
  struct netserv_ip ip;
  struct netserv_udp udp;
  if (!netserv_parse_ip(netserv_data(p), p->length, &ip) || !netserv_parse_udp(&ip, &udp)) return;
  if (udp.destination_port != port) return;
  p->verdict = NETSERV_DROP;
  NETSERV_COUNT("dropped", 1);
}

NETSERV_PACKET_MODULE(on_packet)
