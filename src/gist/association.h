// A messaging association as the core sees it (RFC 5971, 4.2.2).
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "gist/association_sm.h"
#include "gist/environment.h"
#include "gist/output.h"
#include "wire/gist/nli.h"
#include "wire/gist/stack.h"
#include "wire/gist/stream.h"

namespace netserv::gist {

struct Association {
  AssociationId id{};
  AssociationState state = AssociationState::kBirth;
  bool initiator = false;
  bool tls = false;
  bool peer_known = false;  // the accepting side learns it from the first Confirm
  Bytes peer_identity;      // of the NLI at the time of set-up
  IpAddress peer_address;
  std::uint16_t peer_udp_port = 0;
  PeerCredentials credentials;
  Milliseconds peer_hold_time{30000};
  bool confirm_sent = false;
  bool congested = false;         // the connection takes no applications' messages for now
  std::vector<Bytes> queue;       // while connecting
  std::set<std::uint64_t> users;  // routing states, by id
  StreamSplitter splitter;
  std::size_t incomplete = 0;  // bytes in it, of a message that has not come whole
};

// An accepted connection.
struct AcceptedAssociation {
  IpAddress peer_address;
  bool tls = false;
  PeerCredentials credentials;
};

}  // namespace netserv::gist
