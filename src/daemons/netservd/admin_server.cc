#include "daemons/netservd/admin_server.h"

#include <algorithm>

namespace netserv::daemon {

using nlohmann::json;

namespace {
json error_line(const std::string& subject, const std::string& text, ncm::StatusCode code) {
  return json{{"error", {{"subject", subject}, {"text", text}, {"code", ncm::number(code)}}}};
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
  NETSERV_ASSIGN(out->server_, StreamServer::listen(loop, path, mode, std::move(handler)));
  return out;
}

void AdminServer::write(ClientId id, const json& line) {
  server_->write(id, line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
}

void AdminServer::received(ClientId id, std::string_view bytes) {
  clients_[id].in += bytes;
  while (true) {
    std::string& in = clients_[id].in;
    auto end = in.find('\n');
    if (end == std::string::npos) {
      if (in.size() > kLineMost) server_->close(id);
      return;
    }
    json parsed = json::parse(in.substr(0, end), nullptr, false);
    in.erase(0, end + 1);
    if (parsed.is_object())
      request(id, parsed);
    else
      write(id, error_line("request", "is not a JSON object on a line", ncm::StatusCode::kSyntax));
  }
}

void AdminServer::request(ClientId id, const json& r) {
  const std::string verb = text_of(r, "verb"), publisher = text_of(r, "publisher");
  const Facts facts = needs_.facts();
  auto ok = [&](json result) { write(id, json{{"ok", true}, {"result", std::move(result)}}); };
  if (verb == "status") return ok(status_json(facts));
  if (verb == "modules") return ok(modules_json(facts, [](const node::ModuleKey&) { return true; }));
  if (verb == "containers") return ok(containers_json(facts, needs_.place_of));
  if (verb == "drain" || verb == "undrain") {
    bool on = verb == "drain";
    node::RequestId request = needs_.new_id();
    return change(id, node::Drain{request, on}, request, json{{"state", on ? "draining" : "running"}});
  }
  if (verb == "disable" || verb == "enable") {
    bool known = facts.state.settings.publishers.count(PublisherId(publisher)) != 0;
    bool disabled = facts.state.switches.disabled.count(PublisherId(publisher)) != 0;
    if (!known && !disabled)
      return write(id, error_line("publisher", "\"" + publisher + "\" is no publisher of this node", ncm::StatusCode::kUnknownPublisher));
    bool on = verb == "enable";
    node::RequestId request = needs_.new_id();
    return change(id, node::Enable{request, PublisherId(publisher), on}, request, json{{"publisher", publisher}, {"disabled", !on}});
  }
  if (verb != "events" && verb != "logs") return write(id, error_line("verb", "\"" + verb + "\" is not known", ncm::StatusCode::kUnknownVerb));

  Follow follow;
  (verb == "events" ? follow.events : follow.logs) = true;
  follow.publisher = verb == "logs" ? publisher : "";
  follow.module = verb == "logs" ? text_of(r, "module") : "";
  auto last_key = r.find("last");
  std::size_t last = last_key != r.end() && last_key->is_number_unsigned() ? last_key->get<std::size_t>() : 100;
  std::vector<json> lines;
  if (follow.events) lines.assign(events_.begin(), events_.end());
  if (follow.logs)
    for (const auto& [key, kept] : logs_)
      for (const json& line : kept)
        if (wants(follow, line)) lines.push_back(line);
  if (follow.logs)
    std::stable_sort(lines.begin(), lines.end(), [](const json& a, const json& b) { return text_of(a, "time") < text_of(b, "time"); });
  for (std::size_t n = lines.size() > last ? lines.size() - last : 0; n < lines.size(); ++n) write(id, json{{"event", lines[n]}});
  auto follow_key = r.find("follow");
  if (follow_key != r.end() && *follow_key == true) {
    clients_[id].follow = follow;
    return;
  }
  ok(json::object());
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
    write(pending.client, error_line(response.object, response.text, response.code));
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
