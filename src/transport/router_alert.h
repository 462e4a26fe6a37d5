// Interception by Router Alert Option (RFC 5971, 5.3.2; RFC 2113, RFC 2711): a raw socket for each interface that is
// to have it. The kernel hands every forwarded UDP packet with the option over and forgets it, so whatever is not ours
// has to be sent on by us. Made with CAP_NET_RAW; used without rights.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "sys/fd.h"

namespace netserv::transport {

class RouterAlert {
 public:
  // IPv6 asks for the option's value, so one socket for each of `values`.
  static Result<std::unique_ptr<RouterAlert>> open(const std::vector<std::string>& interfaces,
                                                   const std::vector<std::uint16_t>& values);
  std::vector<int> fds() const;
  struct Packet {
    Bytes bytes;  // from its IP header on
    std::uint32_t interface = 0;
  };
  // Up to 64. Also has copies of packets to this node, which the UDP socket gets as well: leave those alone.
  std::vector<Packet> receive(int fd);

 private:
  struct Socket {
    sys::UniqueFd fd;
    std::uint32_t interface;
  };
  std::vector<Socket> sockets_;
};

}  // namespace netserv::transport
