#include "daemons/netservd/request_desk.h"

#include "wire/ncm/response.h"

namespace netserv::daemon {
namespace {

using ncm::StatusCode;

node::Stamp stamp_of(const ncm::Request& request, WallTime now) {
  node::Stamp stamp;
  stamp.nonce = request.signer.nonce;
  stamp.expires = request.signer.expires.value_or(now + auth::kMaxExpiresAhead);
  stamp.fingerprint = ncm::print_digest(auth::sha256(as_bytes(ncm::print_message(request.message))));
  return stamp;
}

node::ModuleOptions options_of(const ncm::NodeProperties& p) {
  using Mode = node::ModuleOptions::Mode;
  node::ModuleOptions o;
  o.order = p.order;
  if (p.mode) o.mode = *p.mode == ncm::PathMode::kObserver ? Mode::kObserve : Mode::kInPath;
  o.fail_closed = p.fail == ncm::FailMode::kClosed;
  o.snap_length = p.snaplen.value_or(0);
  o.sample_one_in = p.sample.value_or(1);
  return o;
}

}  // namespace

std::optional<auth::PublicKey> RequestDesk::find_key(const PublisherId& publisher) const {
  auto it = policies_.find(publisher);
  return it == policies_.end() ? std::nullopt : std::optional(it->second.key);
}

RequestDesk::Outcome RequestDesk::handle(const ncm::Message& message, node::RequestId id) {
  Outcome out;
  const Facts facts = needs_.facts();
  auto refuse = [&](const Error& error) {
    node::Happened h;
    h.what = node::Happened::What::kRefused;
    if (const std::string* user = message.find("user")) h.key.publisher = PublisherId(*user);
    h.key.module = ModuleId(message.object);
    h.code = static_cast<std::uint16_t>(ncm::number(ncm::status_of(error)));
    h.text = error.message();
    needs_.tell(h);
    out.response = ncm::response_to(error, message.object, facts.state.settings.node_address);
  };
  auto request = ncm::parse_request(message);
  if (!request) return refuse(request.error()), out;
  if (!ncm::needs_signature(*request)) {
    auto response = probe(std::get<ncm::Probe>(request->body), std::nullopt, message);
    if (!response) return refuse(response.error()), out;
    out.response = *response;
    return out;
  }
  auto authenticated = authenticator_.authenticate(*request, facts.now.wall);
  if (!authenticated) return refuse(authenticated.error()), out;
  if (auto p = authenticated->as<ncm::Probe>()) {
    auto response = probe(**p, p->publisher(), message);
    if (!response) return refuse(response.error()), out;
    out.response = *response;
  }
  if (auto r = authenticated->as<ncm::Remove>())
    out.event = node::Remove{id, r->publisher(), (*r)->module.to_string(), stamp_of(*request, facts.now.wall)};
  if (auto s = authenticated->as<ncm::Setup>()) {
    auto event = setup(*s, *request, id);
    const node::ModuleKey key{s->publisher(), (*s)->module.id()};
    if (!event)
      out.event = node::Refused{id, key, stamp_of(*request, facts.now.wall), event.error(), (*s)->notification};
    else
      out.event = std::move(*event);
  }
  return out;
}

auth::NodeFacts RequestDesk::node_facts(const node::Settings& settings) const {
  auth::NodeFacts facts;
  facts.own_addresses = own_;
  facts.blocks.insert(settings.blocks.begin(), settings.blocks.end());
  return facts;
}

std::optional<Error> RequestDesk::no_longer_allowed(const node::ModuleRecord& module, const node::Settings& settings) const {
  auto policy = policies_.find(module.key.publisher);
  if (policy == policies_.end()) return std::nullopt;
  const node::ModuleSpec& spec = module.spec;
  auth::InUse in_use{spec.filters, spec.dependencies, spec.options.fail_closed, spec.notification};
  Status allowed = auth::still_allowed(in_use, policy->second, node_facts(settings));
  return allowed ? std::nullopt : std::optional(allowed.error());
}

Result<node::Event> RequestDesk::setup(const auth::Authenticated<ncm::Setup>& setup, const ncm::Request& request,
                                       node::RequestId id) {
  const Facts f = needs_.facts();
  const auth::NodeFacts facts = node_facts(f.state.settings);
  // Switches and the number of modules are judged by the controller, after it has looked for a replay.
  auto policy = policies_.find(setup.publisher());
  if (policy == policies_.end()) return ncm::refuse(StatusCode::kUnknownPublisher, "user", "is not in this node's configuration");
  NETSERV_ASSIGN(auth::Grant grant, auth::authorise(setup, policy->second, facts));
  node::Setup event;
  event.request = id;
  event.key = {setup.publisher(), setup->module.id()};
  event.spec.url = setup->url;
  if (setup->digest) event.spec.digest = ncm::print_digest(*setup->digest);
  event.spec.filters = grant.filters;
  event.spec.properties = grant.properties.module;
  event.spec.options = options_of(grant.properties.node);
  event.spec.dependencies = setup->dependencies;
  event.spec.notification = setup->notification;
  event.ttl = grant.ttl;
  event.stamp = stamp_of(request, f.now.wall);
  event.cached = needs_.cached(setup.publisher(), event.spec.digest);
  return node::Event(std::move(event));
}

Result<ncm::Response> RequestDesk::probe(const ncm::Probe& probe, const std::optional<PublisherId>& publisher,
                                         const ncm::Message& message) {
  const Facts f = needs_.facts();
  ncm::Response r;
  r.code = StatusCode::kOk;
  r.object = std::string(to_string(probe.kind));
  r.id = message.object;
  r.node = f.state.settings.node_address;
  r.text = "ok";
  switch (probe.kind) {
    case ncm::ProbeKind::kNode:
      r.body = nlohmann::json{{"address", f.state.settings.node_address}, {"version", NETSERV_VERSION}}.dump();
      return r;
    case ncm::ProbeKind::kCapabilities:
      r.body = capabilities_json(f.state).dump();
      return r;
    case ncm::ProbeKind::kPolicy: {
      auto policy = policies_.find(publisher.value_or(PublisherId{}));
      if (policy == policies_.end()) return ncm::refuse(StatusCode::kUnsigned, "user", "policy is told to its publisher");
      r.body = policy_json(policy->second).dump();
      return r;
    }
    case ncm::ProbeKind::kModule: break;
  }
  auto pick = [&](const node::ModuleKey& key) {
    if (!publisher || key.publisher != *publisher) return false;
    if (!probe.module) return true;
    auto name = ncm::parse_module_name(key.module.value());
    return name && probe.module->covers(*name);
  };
  nlohmann::json body = modules_json(f, pick);
  if (probe.module && body["modules"].empty())
    return ncm::refuse(StatusCode::kNotFound, probe.module->to_string(), "is not on this node");
  if (body["modules"].size() == 1) {
    const auto& m = body["modules"][0];
    r.object = m.value("id", r.object);
    r.state = m.value("state", "");
    r.text = m.value("reason", r.state);
  }
  r.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return r;
}

}  // namespace netserv::daemon
