// D-mode over UDP (RFC 5971, 5.3): the socket bound to port 270 in both IP versions, and raw sockets for packets whose
// source address and IP options are our choice. Made with CAP_NET_RAW and CAP_NET_BIND_SERVICE; used without rights.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "base/result.h"
#include "gist/output.h"
#include "sys/fd.h"

namespace netserv::transport {

class DatagramSockets {
 public:
  // IPv6 is left out where the kernel has none.
  static Result<std::unique_ptr<DatagramSockets>> open(std::uint16_t port);

  // To be watched for reading and errors (error queues).
  std::vector<int> fds() const;
  // Up to 64 datagrams to this node. Those without a source that could be answered are left out.
  std::vector<gist::Datagram> receive(int fd);
  // ICMP errors about what was sent from here.
  struct IcmpError {
    Bytes quoted;           // UDP payload, perhaps cut short
    std::uint16_t mtu = 0;  // 0: port unreachable; else the packet was too big for a path of this MTU
  };
  std::vector<IcmpError> icmp_errors(int fd);

  // From an address of this node.
  Status send(const gist::Datagram& datagram);
  // With Router Alert Option; from any address.
  Status send_query(const gist::Datagram& datagram, std::uint16_t router_alert);
  // From an address that is another's.
  Status send_as(const gist::Datagram& datagram);
  // An intercepted packet goes on: `datagram.ip_header` is there.
  Status forward(const gist::Datagram& datagram);

 private:
  Status send_raw(ByteSpan packet, const gist::Datagram& datagram);
  struct Family {
    sys::UniqueFd udp, raw;
  };
  std::array<Family, 2> families_;  // IPv4, IPv6
  const Family& family(const IpAddress& a) const { return families_[a.is_v4() ? 0 : 1]; }
};

}  // namespace netserv::transport
