// NetMonitor (paper, section 5): counts packets by source, destination and TTL, and sends the counts to a
// visualizer every half second. It never changes or holds up a packet; in the path or as an observer.
//
// Properties: visualizer_ip (IPv4 or IPv6) and visualizer_port, both or neither; without them it only counts.
#include "netmonitor/report.h"
#include "netmonitor/table.h"
#include "netserv/module.hpp"

NETSERV_MANIFEST({"name": "NetServ.apps.NetMonitor", "version": "1.0.0", "abi": 1, "kind": ["packet"],
                  "blocks": ["packet/1", "timer/1", "log/1", "properties/1", "counters/1", "udp/1"],
                  "observer": true, "memory_pages": 32})

namespace netmonitor {
namespace {

using netserv::guest::Packet;
using netserv::guest::Property;
using netserv::guest::Text;

constexpr uint32_t kReportTimer = 0;
constexpr uint64_t kReportEveryMs = 500;
constexpr int kBadVisualizer = 1;  // start code

template <class Word>
Word load(const uint8_t* from) {
  Word word;
  __builtin_memcpy(&word, from, sizeof word);
  return word;
}

class NetMonitor {
 public:
  int on_start() {
    if (!read_properties()) return kBadVisualizer;
    netserv::guest::set_timer_ms(kReportTimer, kReportEveryMs, kReportEveryMs);
    return 0;
  }

  void on_packet(Packet& p) {
    packets_++;
    lost_ += p.lost();
    const uint8_t* d = p.data();
    // An address counts even where the rest of the packet is odd: this is what the wire showed.
    if (p.size() >= 20 && d[0] >> 4 == 4) {
      if (!ipv4_.count({load<uint64_t>(d + 12), d[8]})) overflow_++;
    } else if (p.size() >= 40 && d[0] >> 4 == 6) {
      Ipv6Key key{{load<uint64_t>(d + 8), load<uint64_t>(d + 16)},
                  {load<uint64_t>(d + 24), load<uint64_t>(d + 32)},
                  d[7]};
      if (!ipv6_.count(key)) overflow_++;
    } else {
      overflow_++;
    }
  }

  void on_properties() {
    if (!read_properties()) visualizer_.family = 0;
  }

  void on_timer(uint32_t) {
    netserv::guest::count("packets", packets_ - counted_packets_);
    netserv::guest::count("overflow", overflow_ - counted_overflow_);
    if (lost_ != counted_lost_) netserv::guest::count("lost", lost_ - counted_lost_);
    counted_lost_ = lost_;
    counted_packets_ = packets_;
    counted_overflow_ = overflow_;
    if (visualizer_.family != 0) report();
  }

 private:
  // False, and logged, if they make no sense.
  bool read_properties() {
    Property<64> ip("visualizer_ip");
    Property<8> port("visualizer_port");
    netserv_address address{};
    uint32_t number = 0;
    if (!ip.exists() && !port.exists()) {
      visualizer_.family = 0;
      return true;
    }
    if (ip.too_long() || !netserv_parse_address(ip.text().data, ip.text().size, &address)) {
      netserv::guest::log(NETSERV_ERROR, "visualizer_ip is no IPv4 or IPv6 address");
      return false;
    }
    if (port.too_long() || !netserv_parse_u32(port.text().data, port.text().size, 65535, &number) || number == 0) {
      netserv::guest::log(NETSERV_ERROR, "visualizer_port is no number from 1 to 65535");
      return false;
    }
    address.port = static_cast<uint16_t>(number);
    if (!socket_.is_open() || address.family != visualizer_.family) {
      if (socket_.open(address.family, 0) < 0) {
        netserv::guest::log(NETSERV_ERROR, "no UDP socket of visualizer_ip's family");
        return false;
      }
    }
    visualizer_ = address;
    return true;
  }

  void report() {
    ReportWriter writer(ReportHeader{report_++, packets_, overflow_, lost_}, [this](Text datagram) {
      bool sent = socket_.send(visualizer_, datagram) >= 0;
      netserv::guest::count(sent ? Text("datagrams") : Text("send_errors"), 1);
      return sent;
    });
    add_rows(writer, ipv4_, 4);
    add_rows(writer, ipv6_, 6);
    writer.end();
  }

  template <class Writer, class Table>
  static void add_rows(Writer& writer, Table& table, uint8_t family) {
    for (auto& row : table) {
      if (row.count == 0) continue;
      if (row.count != row.reported) {
        row.idle = 0;
        if (writer.row(family, row.key.source_bytes(), row.key.destination_bytes(), row.key.ttl, row.count))
          row.reported = row.count;
      } else if (++row.idle >= kForgetAfter) {
        row.count = 0;
      }
    }
  }

  Table<Ipv4Key, 12> ipv4_;
  Table<Ipv6Key, 10> ipv6_;
  uint64_t packets_ = 0, overflow_ = 0;
  uint64_t lost_ = 0;  // as an observer: copies that did not come
  uint64_t counted_packets_ = 0, counted_overflow_ = 0, counted_lost_ = 0;
  uint64_t report_ = 0;
  netserv_address visualizer_{};  // family 0: none
  netserv::guest::UdpSocket socket_;
};

}  // namespace
}  // namespace netmonitor

NETSERV_PACKET_MODULE_CLASS(netmonitor::NetMonitor)
