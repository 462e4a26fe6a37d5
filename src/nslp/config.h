// What an operator may choose about the NetServ NSLP, as a value.
#pragma once

#include <string>
#include <vector>

#include "base/time.h"
#include "wire/gist/types.h"
#include "wire/ip/address.h"

namespace netserv::nslp {

// From the range for private use (RFC 5971, 9; gist-wide, so all nodes of a network must agree).
inline const gist::NslpId kDefaultNslpId{32704};

struct Config {
  gist::NslpId nslp = kDefaultNslpId;
  std::string node = "node";     // this node's name in response stacks, as ncm::is_node_name() wants it
  IpAddress address;             // its address there; unspecified: not told
  std::vector<IpAddress> local;  // all of its addresses
  std::vector<IpAddress> outside;  // behind a NAT: by which addresses the world knows hosts on this side
  bool hosts_modules = true;     // false: a publisher's or user's host, which only sends requests
  bool require_toward = true;    // of signed messages, so that one can't be replayed along another path
  bool secure = false;           // ask GIST for authenticated, encrypted associations

  Duration last_node_timeout = std::chrono::seconds(4);  // nobody answered GIST's Queries: this is the last node
  Duration first_retransmission = std::chrono::seconds(1);
  Duration max_retransmission = std::chrono::seconds(8);
  Duration max_time = std::chrono::seconds(120);  // for a request, whatever it says
  Duration hop_margin = std::chrono::milliseconds(250);  // this node answers so much before the one before gives up
  Duration keep = std::chrono::seconds(90);  // an answer, for duplicates, and the session's routing state

  std::size_t max_sessions = 20000;      // an eighth of them is kept for local programs
  std::size_t max_held = 64 << 20;       // bytes of others' requests and of the answers to them
  std::size_t max_asked = 1024;          // questions that the controller has not answered
  std::size_t max_upstream_flows = 256;  // opened for TRIGGERs
  std::size_t max_incoming = 64;         // messages whose parts are not all there; 48 KB each
  // Requests over this size go over an association, so that their answers can; so do all PROBEs and retransmissions.
  std::size_t reliable_above = 120;
  // An answer fits in a datagram up to this size (576 bytes less GIST's and IP's own).
  std::size_t datagram_answer = 380;
};

}  // namespace netserv::nslp
