// One table of packets that every forwarding plane must treat alike: what comes in, what the modules of a chain
// say to it, and what leaves. Run against the fake plane by packet_rows_test.cc, against netfilter and xdp by
// tests/forwarder/live_rows_test.cc.
#pragma once

#include <string>
#include <vector>

#include "forward/packet_plane.h"
#include "netserv/abi.h"
#include "plane/test_packets.h"
#include "wire/filter.h"

namespace netserv::plane {

struct RowModule {
  Filter filter;
  std::uint8_t verdict = NETSERV_PASS;
  bool changed = false;
  Bytes rewritten;  // if not empty: the bytes it leaves in the slot
  bool fail_closed = false;
  bool absent = false;  // its container has no ring
};

struct PacketRow {
  std::string description;
  Bytes input;
  std::vector<RowModule> chain;  // one container each, in order of priority
  forward::Fate fate = forward::Fate::kPass;
  Bytes output;             // for kPassChanged and kReply
  std::string counter;      // the one of the node's counters that goes up
};

// Publisher's destinations in all rows: 10.0.2.0/24 and 2001:db8:2::/48; clients in 10.0.1.0/24, 2001:db8:1::/48.
std::vector<PacketRow> packet_rows();

}  // namespace netserv::plane
