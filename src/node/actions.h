// What the controller wants done, and what it tells. The caller performs actions in order; none blocks, results
// come back as events.
#pragma once

#include <string>
#include <variant>

#include "node/records.h"
#include "wire/ipc/container_messages.h"
#include "wire/ipc/forwarder_messages.h"
#include "wire/ncm/response.h"

namespace netserv::node {

struct Fetch {
  ModuleKey key;
  std::uint64_t sequence = 0;
  std::string url, digest;
};
struct Compile {
  ModuleKey key;
  std::uint64_t sequence = 0;
};
struct CancelWork {  // kill the helpers of this installation; no result is expected any more
  ModuleKey key;
  std::uint64_t sequence = 0;
};
struct ReleaseObject {  // no module of the publisher uses it any more
  PublisherId publisher;
  std::string object;
};
struct StartContainer {  // or adopt the one that runs; ContainerUp or ContainerGone follows
  ContainerRecord container;
  std::uint64_t life = 0;  // names this start; the events about it carry it
};
struct StopContainer {  // ContainerGone follows
  ContainerRecord container;
  std::uint64_t life = 0;  // of the start that it ends
};
struct SendContainer {  // AttachRing goes out with the descriptors of the container's last ContainerRing
  ContainerId container;
  ipc::ToContainer message;
};
struct SendForwarder {
  ipc::ToForwarder message;
};
struct ResetForwarder {  // it does not answer: drop the connection; ForwarderGone follows
  std::string reason;
};
struct Answer {
  RequestId request;
  ncm::Response response;
};
using Action = std::variant<Fetch, Compile, CancelWork, ReleaseObject, StartContainer, StopContainer, SendContainer,
                            SendForwarder, ResetForwarder, Answer>;

// Changes to what is kept on disk. Those of one step are committed together, before any of its actions.
struct PutModule { ModuleRecord module; };
struct DeleteModule { ModuleKey key; };
struct PutContainer { ContainerRecord container; };
struct DeleteContainer { ContainerId container; };
struct PutNonce { NonceKey key; NonceRecord nonce; };
struct DeleteNonces { WallTime until; };  // those that end before
struct PutSwitches { Switches switches; };
using StoreChange = std::variant<PutModule, DeleteModule, PutContainer, DeleteContainer, PutNonce, DeleteNonces,
                                 PutSwitches>;

// One typed record for everything that happened; logs, metrics, notifications and the admin event stream are its
// readers.
struct Happened {
  enum class What : std::uint8_t {
    kAccepted, kRefreshed, kRefused, kFetching, kCompiling, kStateChanged, kFailed, kExpired, kRemoved, kReplaced, kTrapped, kRestarted,
    kFiltersRefused, kContainerStarting, kContainerUp, kContainerStopped, kContainerLost, kContainerStalled,
    kContainerResumed, kForwarderUp, kForwarderLost, kPlaneProblem, kDraining, kPublisherDisabled, kReloaded
  };
  What what{};
  ModuleKey key;          // where a module or publisher is meant
  ContainerId container;  // 0: none
  ModuleState from{}, to{};
  std::uint16_t code = 0;  // NCM status of a failure or refusal
  std::string text;
  std::string notification;  // the module's URL for kAccepted .. kRestarted
  Duration took{};           // kStateChanged to ACTIVE: since acceptance
  bool first = false;        // kStateChanged to ACTIVE: the first time
};
std::string_view to_string(Happened::What what);
// One sentence for people.
std::string sentence(const Happened& happened);

struct Step {
  State next;
  std::vector<StoreChange> changes;
  std::vector<Action> actions;
  std::vector<Happened> happened;
};

}  // namespace netserv::node
