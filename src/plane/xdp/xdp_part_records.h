// A part's private records: a socket's place in it, what it remembers of a frame, memory that outlived its sockets.
#pragma once

#include "plane/xdp/xdp_part.h"

namespace netserv::plane {

struct XdpPart::Port {
  unsigned ifindex = 0;
  std::uint32_t queue = 0;
  std::uint32_t mtu = 1500;
  std::unique_ptr<XskPort> socket;
  std::vector<xdp_desc> queued;  // to be transmitted at flush()
  bool exchanges = false;        // what leaves here can leave in a frame that comes
};

// What the part remembers of a held frame, in the frame's own headroom, before the metadata: the kernel is done
// with that room, and no tenant ever sees it.
struct XdpPart::FrameNote {
  std::uint64_t source = 0;
  std::uint64_t destination = 0;
  std::uint32_t port = 0;  // where it came from
  std::uint32_t l3_length = 0;
};

// Packet memory of before the sockets were opened anew, kept for the packets that the forwarder still holds.
struct XdpPart::Retired {
  std::uint64_t era = 0;
  std::unique_ptr<Umem> umem;
  std::size_t held = 0;
};

// A packet's handle: the frame's address, and above it the era that the packet memory belongs to.
inline constexpr unsigned kEraShift = 48;
inline constexpr std::uint64_t kAddressMask = (std::uint64_t{1} << kEraShift) - 1;

}  // namespace netserv::plane
