#include "daemons/netservd/ncm_server.h"

namespace netserv::daemon {

Result<std::unique_ptr<NcmServer>> NcmServer::listen(sys::EventLoop& loop, const std::string& path, unsigned mode,
                                                     std::function<node::RequestId()> new_id, Handle handle) {
  auto out = std::make_unique<NcmServer>();
  NcmServer* self = out.get();
  out->new_id_ = std::move(new_id);
  out->handle_ = std::move(handle);
  StreamServer::Handler handler;
  handler.opened = [self](ClientId id) { self->clients_[id]; };
  handler.received = [self](ClientId id, std::string_view bytes) { self->received(id, bytes); };
  handler.closed = [self](ClientId id) { self->clients_.erase(id); };
  handler.waits = [self](ClientId id) {
    auto it = self->clients_.find(id);
    return it != self->clients_.end() && !it->second.waiting.empty();
  };
  handler.refusal = [](const Error& error) { return ncm::print_response(ncm::response_to(error, "", "")); };
  NETSERV_ASSIGN(out->server_, StreamServer::listen(loop, path, mode, std::move(handler)));
  return out;
}

void NcmServer::received(ClientId id, std::string_view bytes) {
  auto it = clients_.find(id);
  if (it == clients_.end() || it->second.out_of_step) return;
  it->second.reader.feed(bytes);
  while ((it = clients_.find(id)) != clients_.end()) {
    Client& client = it->second;
    auto message = client.reader.next();
    if (message && !*message) return;
    node::RequestId request = new_id_();
    client.waiting.emplace_back(request, std::nullopt);
    owners_[request] = id;
    if (!message || client.waiting.size() > kMostWaiting) {
      client.out_of_step = true;
      Error error = message ? ncm::refuse(ncm::StatusCode::kTooLarge, "connection", "too many requests at once").value()
                            : message.error();
      answer(request, ncm::response_to(error, "", ""));
      return;
    }
    handle_(**message, request);
  }
}

bool NcmServer::answer(node::RequestId request, const ncm::Response& response) {
  auto owner = owners_.find(request);
  if (owner == owners_.end()) return false;
  ClientId id = owner->second;
  owners_.erase(owner);
  auto it = clients_.find(id);
  if (it == clients_.end()) return true;  // nobody waits any more
  for (auto& [waiting, text] : it->second.waiting)
    if (waiting == request) text = ncm::print_response(response);
  write_ready(id);
  return true;
}

void NcmServer::write_ready(ClientId id) {
  Client& client = clients_[id];
  std::string out;
  while (!client.waiting.empty() && client.waiting.front().second) {
    out += *client.waiting.front().second;
    client.waiting.pop_front();
  }
  bool end = client.out_of_step && client.waiting.empty();
  server_->write(id, out);
  if (end) server_->close(id);
}

}  // namespace netserv::daemon
