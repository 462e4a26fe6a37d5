// What the forwarder needs of a forwarding plane: packets come in batches with a handle each; each is finished
// exactly once, in batches again. The plane owns the packets' buffers (a netlink buffer, a UMEM frame): the
// forwarder copies a packet only into a container's ring, never here, and allocates nothing for it.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "wire/filter.h"

namespace netserv::forward {

// A packet that a plane has received. Its buffer is private to this process (never memory that a container can
// write), stays valid until the packet is finished, and is the forwarder's to rewrite until then.
struct Packet {
  std::uint64_t cookie = 0;   // the plane's handle
  std::byte* data = nullptr;  // the first byte of the IP header
  std::uint32_t length = 0;   // bytes at data; less than original_length if the plane has cut it
  std::uint32_t capacity = 0;
  std::uint32_t original_length = 0;
  std::uint16_t ingress = 0;  // ifindex, cut to 16 bits
  std::uint16_t vlan = 0xffff;
  std::uint64_t received_ns = 0;

  ByteSpan bytes() const { return {data, length}; }
};

enum class Fate : std::uint8_t {
  kPass,         // on its way as it came
  kPassChanged,  // on its way, with the bytes now in its buffer
  kReply,        // the bytes now in its buffer go back; the packet itself ends
  kDrop,
};

struct Outcome {
  std::uint64_t cookie = 0;
  Fate fate = Fate::kPass;
  std::byte* data = nullptr;  // the packet's buffer; for kPassChanged and kReply
  std::uint32_t length = 0;
};

// Packets that a plane is asked for. An observer's may be forwarded by the plane itself if it gives copies
// (LivePlane::take_copies); or delivered like any other.
struct Wanted {
  Filter filter;
  bool observer = false;
  std::uint16_t snap_length = 0;  // observers: bytes from the IP header on; 0 = whole packet
  std::uint32_t sample_one_in = 1;
  bool fail_closed = false;  // not observers: rather dropped than passed by, where the plane itself has to choose
  auto operator<=>(const Wanted&) const = default;
};

// One thread, the forwarder's. No call blocks.
class PacketPlane {
 public:
  virtual ~PacketPlane() = default;
  // The packets' buffers are the plane's again.
  virtual void finish(std::span<const Outcome> outcomes) = 0;
  // A packet of a module's own making, checked and with its checksums made; copied. False if it can't be sent.
  virtual bool send(ByteSpan packet) = 0;
  // The end of a round: whatever finish() and send() have gathered goes out now.
  virtual void flush() = 0;
};

}  // namespace netserv::forward
