// nslpd: the NetServ NSLP core between gistd, this node's netservd and local programs. One thread, one event loop, no
// rights.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "daemons/nslpd/controller_link.h"
#include "daemons/nslpd/gist_link.h"
#include "nslp/core.h"
#include "sys/acceptor.h"
#include "sys/event_loop.h"
#include "sys/seqpacket.h"
#include "wire/nslp/client_messages.h"

namespace netserv::daemons {

struct NslpdSettings {
  nslp::Config core;
  std::string gist_socket = "/run/netserv/gistd.sock";
  std::string controller_socket = "/run/netserv/ncm.sock";
  std::string client_socket = nslp::kDefaultClientSocket;
  unsigned client_mode = 0660;
};

class Nslpd final : private nslp::SessionSource {
 public:
  static Result<std::unique_ptr<Nslpd>> start(sys::EventLoop& loop, NslpdSettings settings);

 private:
  struct Client {
    sys::Channel channel;
    sys::EventHandle readable;
    std::set<gist::SessionId> sessions;
  };
  struct Waiting {
    std::uint64_t client = 0;
    std::uint64_t ticket = 0;  // the client's own
  };

  Nslpd(sys::EventLoop& loop, NslpdSettings settings);
  gist::SessionId new_session() override;
  void perform(nslp::Outputs outputs);
  void arm();
  void on_gist(const gist::ApiMessage& message);

  void accept_client(sys::UniqueFd fd);
  void on_client(std::uint64_t id);
  void drop_client(std::uint64_t id);
  void handle(std::uint64_t id, const nslp::SendAlongPath& request);
  void handle(std::uint64_t id, const nslp::EndSession& request);
  void tell(std::uint64_t client, const nslp::ClientReply& reply);

  sys::EventLoop& loop_;
  const NslpdSettings settings_;
  nslp::Core core_;
  GistLink gist_;
  ControllerLink controller_;
  std::unique_ptr<sys::Acceptor> acceptor_;
  sys::EventHandle timer_;
  std::optional<TimePoint> armed_;
  std::map<std::uint64_t, Client> clients_;
  std::map<std::uint64_t, Waiting> waiting_;  // by the core's ticket
  std::uint64_t last_id_ = 0;
};

}  // namespace netserv::daemons
