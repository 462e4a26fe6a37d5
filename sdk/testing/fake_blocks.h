// Building blocks for a module built natively: they remember what the module did and hand it what a test set.
// One module, one thread, one process; reset() between tests.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "netserv/module.h"

namespace netserv::testing {

struct FakeBlocks {
  struct Datagram {
    netserv_address to;
    std::string data;
  };
  struct Timer {
    std::uint64_t after_ns;
    std::uint64_t repeat_ns;
  };

  std::map<std::string, std::string> properties;
  std::map<std::string, std::uint64_t> counters;
  std::map<std::uint32_t, Timer> timers;
  std::vector<std::string> log;
  std::vector<std::string> emitted;
  std::vector<Datagram> sent;
  std::map<std::int32_t, int> sockets;  // handle to family
  std::int32_t next_handle = 0;
  std::uint64_t now_ns = 1;
  int sends_before_eagain = -1;  // then every send says EAGAIN; -1: never
};

// What the blocks work on.
FakeBlocks& blocks();
// All as at first, but for the sockets: a module outlives a test, and so do its handles.
void reset_blocks();

// Puts `bytes` into window slot `slot` and describes it in netserv_batch[slot] as the node would.
// Static, since the window and the batch are the module's, and may go by another name (modules/CMakeLists.txt).
static inline netserv_packet& place_packet(unsigned slot, const std::string& bytes) {
  netserv_packet& packet = netserv_batch[slot];
  packet = {};
  packet.data = slot * NETSERV_SLOT_BYTES;
  packet.length = packet.original_length = packet.new_length = static_cast<std::uint32_t>(bytes.size());
  packet.capacity = NETSERV_SLOT_BYTES;
  packet.vlan = NETSERV_NO_VLAN;
  bytes.copy(reinterpret_cast<char*>(netserv_data(&packet)), bytes.size());
  return packet;
}
// The bytes of the packet after the module, with its new length.
static inline std::string packet_bytes(const netserv_packet& packet) {
  return std::string(reinterpret_cast<const char*>(netserv_data(&packet)), packet.new_length);
}

}  // namespace netserv::testing
