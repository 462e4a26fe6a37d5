// @NAME@: drops the UDP datagrams to one port, and counts them. A start; make it yours.
//
// Property: port (default 9).
#include <netserv/module.hpp>

NETSERV_MANIFEST({"name": "@NAME@", "version": "1.0.0", "abi": 1, "kind": ["packet"],
                  "blocks": ["packet/1", "log/1", "properties/1", "counters/1"]})

namespace {

using namespace netserv::guest;

class Module {
 public:
  // The node calls it once before the first packet. Not 0: the installation fails with that code.
  int on_start() {
    Property<8> port("port");
    if (!port.exists()) return 0;
    if (port.too_long() || !netserv_parse_u32(port.text().data, port.text().size, 65535, &port_)) {
      log(NETSERV_ERROR, "port is no number from 0 to 65535");
      return 1;
    }
    return 0;
  }

  void on_packet(Packet& p) {
    netserv_ip ip;
    netserv_udp udp;
    if (!p.ip(ip) || !netserv_parse_udp(&ip, &udp) || udp.destination_port != port_) return;
    p.drop();
    count("dropped", 1);
  }

 private:
  uint32_t port_ = 9;
};

}  // namespace

NETSERV_PACKET_MODULE_CLASS(Module)
