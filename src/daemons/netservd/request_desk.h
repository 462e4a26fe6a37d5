// Where an NCM becomes an event of the controller: parse, authenticate, authorise. What is refused here is answered
// here; PROBEs are answered from a report; SETUP and REMOVE go on.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "auth/authenticator.h"
#include "auth/policy.h"
#include "daemons/netservd/report.h"
#include "node/events.h"

namespace netserv::daemon {

class RequestDesk : public auth::KeyRing, public auth::NonceStore {
 public:
  struct Needs {
    std::function<Facts()> facts;
    std::function<std::optional<node::Artifact>(const PublisherId&, const std::string& digest)> cached;
    std::function<void(const node::Happened&)> tell;  // refusals
  };
  RequestDesk(Needs needs, auth::Requirements requirements)
      : needs_(std::move(needs)), authenticator_(*this, *this, requirements) {}

  void set_policies(std::map<PublisherId, auth::PublisherPolicy> policies, std::vector<Prefix> own) {
    policies_ = std::move(policies);
    own_ = std::move(own);
  }

  // Whether policy would grant a module that is installed what it uses; nothing of modules whose publisher is unknown.
  std::optional<Error> no_longer_allowed(const node::ModuleRecord& module, const node::Settings& settings) const;

  struct Outcome {
    std::optional<ncm::Response> response;  // or
    std::optional<node::Event> event;       // that will be answered by `request`
  };
  Outcome handle(const ncm::Message& message, node::RequestId request);

 private:
  auth::NodeFacts node_facts(const node::Settings& settings) const;
  std::optional<auth::PublicKey> find_key(const PublisherId& publisher) const override;
  // Nonces are the controller's: it keeps one in the same transaction as what its message changes.
  Result<auth::NonceUse> claim(const PublisherId&, const std::string&, const std::string&, WallTime) override {
    return auth::NonceUse::kNew;
  }
  Result<node::Event> setup(const auth::Authenticated<ncm::Setup>& setup, const ncm::Request& request, node::RequestId id);
  Result<ncm::Response> probe(const ncm::Probe& probe, const std::optional<PublisherId>& publisher, const ncm::Message& m);

  Needs needs_;
  auth::Authenticator authenticator_;
  std::map<PublisherId, auth::PublisherPolicy> policies_;
  std::vector<Prefix> own_;
};

}  // namespace netserv::daemon
