// libnetserv's calls: signed requests along a path (path.h).
#pragma once

#include "auth/keys.h"
#include "client/path.h"
#include "wire/ncm/request.h"

namespace netserv::client {

struct Publisher {
  std::string user;  // the publisher's name in the nodes' configuration
  auth::PrivateKey key;
};

struct CallOptions {
  std::string nodes;     // ncm/selection.h; empty: all
  bool trigger = false;  // from the last node back to this host
  std::chrono::seconds valid{300};
  std::chrono::milliseconds timeout{30000};
};

// Each call makes a new nonce: another setup() is a refresh, along the path as it is then.
Result<PathAnswer> setup(Path& path, const ncm::Setup& setup, const Publisher& publisher, const CallOptions& options = {});
Result<PathAnswer> remove(Path& path, const ncm::Remove& remove, const Publisher& publisher, const CallOptions& options = {});
Result<PathAnswer> probe(Path& path, const ncm::Probe& probe, const Publisher& publisher, const CallOptions& options = {});

// Asks the nodes whose answer in `answer` is still INSTALLING how far they are, and puts what they say in its place.
// True if none is installing any more.
Result<bool> follow(Path& path, const ncm::Message& probe, bool trigger, std::chrono::milliseconds timeout, PathAnswer& answer);

// True while the node's installation goes on.
bool is_installing(const nslp::Entry& entry);

}  // namespace netserv::client
