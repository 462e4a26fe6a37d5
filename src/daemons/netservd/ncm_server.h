// netservd's NCM socket: text NCMs in, responses out in the order of the requests of a connection (semantics.md).
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>

#include "daemons/netservd/stream_server.h"
#include "node/records.h"
#include "wire/ncm/reader.h"

namespace netserv::daemon {

class NcmServer {
 public:
  // `handle` gets each message with the id under which answer() is called for it, at once or later.
  using Handle = std::function<void(const ncm::Message&, node::RequestId)>;
  static Result<std::unique_ptr<NcmServer>> listen(sys::EventLoop& loop, const std::string& path, unsigned mode,
                                                   std::function<node::RequestId()> new_id, Handle handle);
  // False: not one of ours.
  bool answer(node::RequestId request, const ncm::Response& response);

 private:
  static constexpr std::size_t kMostWaiting = 64;  // of a client
  struct Client {
    ncm::MessageReader reader;
    std::deque<std::pair<node::RequestId, std::optional<std::string>>> waiting;
    bool out_of_step = false;
  };
  void received(ClientId id, std::string_view bytes);
  void write_ready(ClientId id);

  std::unique_ptr<StreamServer> server_;
  std::function<node::RequestId()> new_id_;
  Handle handle_;
  std::map<ClientId, Client> clients_;
  std::map<node::RequestId, ClientId> owners_;
};

}  // namespace netserv::daemon
