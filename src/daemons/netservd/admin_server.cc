#include "daemons/netservd/admin_server.h"

#include <algorithm>

namespace netserv::daemon {

using nlohmann::json;

namespace {
std::string as_line(const json& j) { return j.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"; }
json error_line(const Error& error) {
  return json{{"error", {{"subject", error.subject}, {"text", error.text}, {"code", error.code}}}};
}
std::string text_of(const json& j, const char* key) {
  auto it = j.find(key);
  return it != j.end() && it->is_string() ? it->get<std::string>() : "";
}
}  // namespace

Result<std::unique_ptr<AdminServer>> AdminServer::listen(sys::EventLoop& loop, const std::string& path, unsigned mode,
                                                         Needs needs) {
  auto out = std::make_unique<AdminServer>();
  AdminServer* self = out.get();
  out->needs_ = std::move(needs);
  StreamServer::Handler handler;
  handler.opened = [self](ClientId id) { self->clients_[id]; };
  handler.received = [self](ClientId id, std::string_view bytes) { self->received(id, bytes); };
  handler.closed = [self](ClientId id) { self->clients_.erase(id); };
  handler.waits = [self](ClientId id) {
    auto it = self->clients_.find(id);
    return it != self->clients_.end() && (it->second.follow.events || it->second.follow.logs);
  };
  handler.refusal = [](const Error& error) { return as_line(error_line(error)); };
  NETSERV_ASSIGN(out->server_, StreamServer::listen(loop, path, mode, std::move(handler)));
  return out;
}

void AdminServer::write(ClientId id, const json& message) { server_->write(id, as_line(message)); }

void AdminServer::received(ClientId id, std::string_view bytes) {
  clients_[id].in += bytes;
  // An answer that nobody reads can end the client meanwhile.
  for (auto it = clients_.find(id); it != clients_.end(); it = clients_.find(id)) {
    std::string& in = it->second.in;
    auto end = in.find('\n');
    if (end == std::string::npos) {
      if (in.size() > kLineMost) server_->close(id);
      return;
    }
    auto decoded = decode_admin_request(std::string_view(in).substr(0, end));
    in.erase(0, end + 1);
    if (decoded)
      request(id, *decoded);
    else
      write(id, error_line(decoded.error()));
  }
}

void AdminServer::request(ClientId id, const AdminRequest& r) {
  using Verb = AdminRequest::Verb;
  const Facts facts = needs_.facts();
  auto ok = [&](json result) { write(id, json{{"ok", true}, {"result", std::move(result)}}); };
  switch (r.verb) {
    case Verb::kStatus: return ok(status_json(facts));
    case Verb::kModules: return ok(modules_json(facts, [](const node::ModuleKey&) { return true; }));
    case Verb::kContainers: return ok(containers_json(facts, needs_.place_of));
    case Verb::kEvents: case Verb::kLogs: return past_and_future(id, r);
    case Verb::kDrain: case Verb::kUndrain: {
      const bool on = r.verb == Verb::kDrain;
      const node::RequestId number = needs_.new_id();
      return change(id, node::Drain{number, on}, number, json{{"state", on ? "draining" : "running"}});
    }
    case Verb::kDisable: case Verb::kEnable: {
      const PublisherId publisher(r.publisher);
      // One that has left the configuration can still be enabled again.
      if (facts.state.settings.publishers.count(publisher) == 0 && facts.state.switches.disabled.count(publisher) == 0)
        return write(id, error_line({Origin::kOperator, "publisher", "\"" + r.publisher + "\" is no publisher of this node",
                                     ncm::number(ncm::StatusCode::kUnknownPublisher)}));
      const bool on = r.verb == Verb::kEnable;
      const node::RequestId number = needs_.new_id();
      return change(id, node::Enable{number, publisher, on}, number, json{{"publisher", r.publisher}, {"disabled", !on}});
    }
  }
}

void AdminServer::past_and_future(ClientId id, const AdminRequest& r) {
  Follow follow;
  (r.verb == AdminRequest::Verb::kEvents ? follow.events : follow.logs) = true;
  if (follow.logs) follow.publisher = r.publisher, follow.module = r.module;
  std::vector<json> lines;
  if (follow.events) lines.assign(events_.begin(), events_.end());
  if (follow.logs) {
    for (const auto& [key, kept] : logs_)
      for (const json& line : kept)
        if (wants(follow, line)) lines.push_back(line);
    std::stable_sort(lines.begin(), lines.end(), [](const json& a, const json& b) { return text_of(a, "time") < text_of(b, "time"); });
  }
  for (std::size_t n = lines.size() > r.last ? lines.size() - r.last : 0; n < lines.size(); ++n)
    write(id, json{{"event", lines[n]}});
  if (!r.follow) return write(id, json{{"ok", true}, {"result", json::object()}});
  auto follows = [](const auto& entry) { return entry.second.follow.events || entry.second.follow.logs; };
  if (static_cast<std::size_t>(std::count_if(clients_.begin(), clients_.end(), follows)) >= kFollowersMost)
    return write(id, error_line({Origin::kOperator, "follow", "too many clients follow already", ncm::number(ncm::StatusCode::kOverloaded)}));
  if (auto client = clients_.find(id); client != clients_.end()) client->second.follow = follow;
}

void AdminServer::change(ClientId id, node::Event event, node::RequestId request, json result) {
  pending_[request] = Pending{id, std::move(result)};
  needs_.emit(std::move(event));
}

bool AdminServer::answer(node::RequestId request, const ncm::Response& response) {
  auto it = pending_.find(request);
  if (it == pending_.end()) return false;
  Pending pending = std::move(it->second);
  pending_.erase(it);
  if (ncm::is_failure(response.code))
    write(pending.client, error_line({Origin::kOperator, response.object, response.text, ncm::number(response.code)}));
  else
    write(pending.client, json{{"ok", true}, {"result", pending.result}});
  return true;
}

bool AdminServer::wants(const Follow& f, const json& line) {
  if (!f.publisher.empty() && text_of(line, "publisher") != f.publisher) return false;
  const std::string module = text_of(line, "module");
  return f.module.empty() || module == f.module || node::module_name(ModuleId(module)) == f.module;
}

void AdminServer::event(json event) {
  for (const auto& [id, client] : std::map(clients_))
    if (client.follow.events) write(id, json{{"event", event}});
  events_.push_back(std::move(event));
  if (events_.size() > kEventsKept) events_.pop_front();
}

void AdminServer::log(const node::ModuleKey& module, json line) {
  for (const auto& [id, client] : std::map(clients_))
    if (client.follow.logs && wants(client.follow, line)) write(id, json{{"event", line}});
  auto& kept = logs_[module.publisher];
  kept.push_back(std::move(line));
  if (kept.size() > kLogLinesKept) kept.pop_front();
}

}  // namespace netserv::daemon
