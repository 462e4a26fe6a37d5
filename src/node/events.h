// What happens to the controller. Requests come here only after authentication and policy (src/auth); results
// name the installation (`sequence`), and what is said of containers the start (`life`), that they belong to, so that
// late ones are recognised and ignored.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "node/records.h"
#include "wire/ipc/container_messages.h"

namespace netserv::node {

struct Stamp {
  std::string nonce;  // empty where the configuration does not require one
  WallTime expires;
  std::string fingerprint;  // equal for byte-identical messages only
};

struct Setup {
  RequestId request;
  ModuleKey key;
  ModuleSpec spec;
  Duration ttl{};
  Stamp stamp;
  std::optional<Artifact> cached;
};
// A SETUP that was signed well and that policy refuses. It comes here so that its nonce is used up.
struct Refused {
  RequestId request;
  ModuleKey key;
  Stamp stamp;
  Error error;
  std::string notification = {};
};
struct Remove {
  RequestId request;
  PublisherId publisher;
  std::string id;  // with or without version
  Stamp stamp;
};
// From the operator.
struct Drain {
  RequestId request;
  bool on = false;
};
struct Enable {
  RequestId request;
  PublisherId publisher;
  bool on = false;
};
struct Reloaded {
  Settings settings;
  // Modules that the new configuration would refuse, and why (auth::still_allowed).
  std::map<ModuleKey, Error> refused = {};
};

struct Fetched {
  ModuleKey key;
  std::uint64_t sequence = 0;
  Result<std::optional<Artifact>> result;  // an artifact: the bytes turned out to be cached
};
struct Compiled {
  ModuleKey key;
  std::uint64_t sequence = 0;
  Result<Artifact> result;
};

struct ContainerUp {  // connected, first time or again
  ContainerId container;
  std::uint64_t life = 0;
  ipc::Welcome welcome;
};
struct ContainerGone {
  ContainerId container;
  std::uint64_t life = 0;
  std::string reason;
};
struct ContainerSaid {
  ContainerId container;
  std::uint64_t life = 0;
  ipc::FromContainer message;
};
struct ForwarderUp {
  ipc::ForwarderWelcome welcome;
};
struct ForwarderGone {
  std::string reason;
};
struct ForwarderSaid {
  ipc::FromForwarder message;
};
struct Tick {};

using Event = std::variant<Setup, Refused, Remove, Drain, Enable, Reloaded, Fetched, Compiled, ContainerUp, ContainerGone,
                           ContainerSaid, ForwarderUp, ForwarderGone, ForwarderSaid, Tick>;

}  // namespace netserv::node
