// KeepAlive Responder (paper, section 4.2): answers NAT keep-alives that SIP user agents send to their server, at
// the router, in the server's name. What counts as one is said in sip_request.h; all else passes untouched.
//
// The answer goes back to the address and port the request came from, with or without rport: a port out of a Via
// would not get through the NAT that is to be kept open, and would let strangers aim answers at others.
//
// Properties:
//   swap     on (default): answer. off: look, count, and let the request go on to the server (benchmarks).
//   domains  comma list of the server's names in the Request-URI of OPTIONS pings; default: any name
//   users    comma list of user parts that make an OPTIONS a ping all the same; default: none
#include "keepalive/reply_packet.h"
#include "keepalive/sip_request.h"
#include "keepalive/sip_response.h"
#include "netserv/module.hpp"

NETSERV_MANIFEST({"name": "NetServ.apps.KeepAlive", "version": "1.0.0", "abi": 1, "kind": ["packet"],
                  "blocks": ["packet/1", "timer/1", "log/1", "properties/1", "counters/1"],
                  "observer": false, "memory_pages": 32})

namespace keepalive {
namespace {

using netserv::guest::Packet;
using netserv::guest::Property;

constexpr uint32_t kCountTimer = 0;
constexpr uint64_t kCountEveryMs = 1000;
constexpr int kBadSwap = 1, kListTooLong = 2;  // start codes

class KeepAlive {
 public:
  int on_start() {
    // No dialog comes of these answers, so the tag's key must differ between routers, not be secret.
    key_ = netserv_timer_now() * 0x9e3779b97f4a7c15u | 1;
    netserv::guest::set_timer_ms(kCountTimer, kCountEveryMs, kCountEveryMs);
    return read_properties();
  }

  void on_properties() { read_properties(); }

  void on_timer(uint32_t) {
    netserv::guest::count("notify", counts_.notify);
    netserv::guest::count("options", counts_.options);
    netserv::guest::count("crlf", counts_.crlf);
    netserv::guest::count("silent", counts_.silent);
    netserv::guest::count("too_long", counts_.too_long);
    netserv::guest::count("other", counts_.other);
    counts_ = {};
  }

  void on_packet(Packet& p) {
    netserv_ip ip;
    netserv_udp udp;
    if (p.is_truncated() || !p.ip(ip) || !netserv_parse_udp(&ip, &udp) || udp.source_port == 0) {
      counts_.other++;
      return;
    }
    Text datagram(reinterpret_cast<const char*>(udp.payload.data), udp.payload.length);
    Target target{ip.version, ip.destination.data, udp.destination_port, domains_.text(), users_.text()};
    Request request;
    switch (classify(datagram, target, request)) {
      case Kind::kOther: counts_.other++; return;
      case Kind::kSilent:
        counts_.silent++;
        if (swap_) p.drop();
        return;
      case Kind::kCrlf: counts_.crlf++; return answer(p, ip, udp, "\r\n");
      case Kind::kNotify: counts_.notify++; break;
      case Kind::kOptions: counts_.options++; break;
    }
    if (!swap_) return;
    Source source{ip.version, ip.source.data, udp.source_port};
    uint32_t size = write_response(request, source, make_tag(request, key_), response_, sizeof response_);
    if (size == 0) {
      counts_.too_long++;
      return;
    }
    answer(p, ip, udp, {response_, size});
  }

 private:
  void answer(Packet& p, const netserv_ip& ip, const netserv_udp& udp, Text payload) {
    if (!swap_) return;
    uint32_t size = turn_round(p.data(), p.capacity(), ip, udp, payload);
    if (size == 0) {
      counts_.too_long++;
      return;
    }
    p.reply(size);
  }

  // A start code. On failure the properties stay as they were.
  int read_properties() {
    Property<8> swap("swap");
    Property<512> domains("domains"), users("users");
    if (swap.exists() && !(swap.text() == Text("on")) && !(swap.text() == Text("off"))) {
      netserv::guest::log(NETSERV_ERROR, "swap is neither on nor off");
      return kBadSwap;
    }
    if (domains.too_long() || users.too_long()) {
      netserv::guest::log(NETSERV_ERROR, "domains and users may have 512 characters each");
      return kListTooLong;
    }
    swap_ = !(swap.text() == Text("off"));
    domains_.set(domains.text());
    users_.set(users.text());
    return 0;
  }

  struct List {
    char characters[512];
    uint32_t size = 0;
    void set(Text t) {
      __builtin_memcpy(characters, t.data, t.size);
      size = t.size;
    }
    Text text() const { return {characters, size}; }
  };
  struct Counts {
    uint64_t notify = 0, options = 0, crlf = 0, silent = 0, too_long = 0, other = 0;
  };

  Counts counts_;
  List domains_, users_;
  char response_[NETSERV_SLOT_BYTES];
  uint64_t key_ = 0;
  bool swap_ = false;  // until on_start()
};

}  // namespace
}  // namespace keepalive

NETSERV_PACKET_MODULE_CLASS(keepalive::KeepAlive)
