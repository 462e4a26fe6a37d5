// The operator's socket (docs/admin-socket.md): lines of JSON. Keeps the last events and module log lines, bounded.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "daemons/netservd/admin_request.h"
#include "daemons/netservd/report.h"
#include "daemons/netservd/stream_server.h"
#include "node/events.h"

namespace netserv::daemon {

class AdminServer {
 public:
  struct Needs {
    std::function<Facts()> facts;
    std::function<Place(ContainerId)> place_of;
    std::function<node::RequestId()> new_id;
    std::function<void(node::Event)> emit;  // drain, enable
  };
  static Result<std::unique_ptr<AdminServer>> listen(sys::EventLoop& loop, const std::string& path, unsigned mode, Needs needs);

  void event(nlohmann::json event);
  void log(const node::ModuleKey& module, nlohmann::json line);
  // False: not one of ours.
  bool answer(node::RequestId request, const ncm::Response& response);

 private:
  static constexpr std::size_t kEventsKept = 1000, kLogLinesKept = 2000, kLineMost = 1u << 20;
  static constexpr std::size_t kFollowersMost = StreamServer::kMostClients - 8;  // others find a place
  struct Follow {
    bool events = false, logs = false;
    std::string publisher, module;
  };
  struct Client {
    std::string in;
    Follow follow;
  };
  struct Pending {
    ClientId client;
    nlohmann::json result;
  };
  void received(ClientId id, std::string_view bytes);
  void request(ClientId id, const AdminRequest& request);
  void past_and_future(ClientId id, const AdminRequest& request);  // events, logs
  void change(ClientId id, node::Event event, node::RequestId request, nlohmann::json result);
  void write(ClientId id, const nlohmann::json& line);
  static bool wants(const Follow& follow, const nlohmann::json& line);

  std::unique_ptr<StreamServer> server_;
  Needs needs_;
  std::map<ClientId, Client> clients_;
  std::map<node::RequestId, Pending> pending_;
  std::deque<nlohmann::json> events_;
  // A publisher's modules share its lines: ids are theirs to choose, publishers are the configuration's.
  std::map<PublisherId, std::deque<nlohmann::json>> logs_;
};

}  // namespace netserv::daemon
