// A UNIX stream socket whose clients send units (an NCM, a line) and get text back. Who handles units keeps their
// order; this keeps connections, buffers and their bounds.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "sys/acceptor.h"
#include "sys/event_loop.h"
#include "sys/fd.h"
#include "sys/seqpacket.h"

namespace netserv::daemon {

using ClientId = std::uint64_t;

// Root and netservd's own user; the file's group if its mode lets it write; anybody if it lets others.
struct SocketFile {
  unsigned mode = 0;
  uid_t server = 0;
  gid_t group = 0;
};
bool may_connect(const SocketFile& file, uid_t user, const std::vector<gid_t>& groups);

// A connection as the choice below sees it.
struct Guest {
  ClientId id = 0;
  uid_t user = 0;
  std::uint64_t last_active = 0;  // a number that grows
  bool waits = false;             // something is owed to it
};
// Whose place a new connection takes when all are taken: of the user with the most connections that wait for nothing
// (the newcomer's own counts as one more), the one that has been idle longest. Nothing: it has to go itself.
std::optional<ClientId> whom_to_drop(const std::vector<Guest>& guests, uid_t newcomer);

class StreamServer {
 public:
  struct Handler {
    std::function<void(ClientId)> opened;
    std::function<void(ClientId, std::string_view bytes)> received;
    std::function<void(ClientId)> closed;  // also after close()
    std::function<bool(ClientId)> waits;   // for an answer, or for what it follows
    std::function<std::string(const Error&)> refusal;  // as the protocol says it, to one who may not connect
  };
  // At most kMostClients, see whom_to_drop(); one that leaves 4 MiB unread is closed. Beside the file's mode, who a
  // client is (SO_PEERCRED) is held against may_connect(): who may not is told so, and nothing that it says is read.
  static constexpr std::size_t kMostClients = 64;
  static Result<std::unique_ptr<StreamServer>> listen(sys::EventLoop& loop, const std::string& path, unsigned mode,
                                                      Handler handler);
  void write(ClientId client, std::string_view text);
  // Once everything written has gone out; what the client still sends is thrown away.
  void close(ClientId client);

 private:
  struct Client {
    sys::UniqueFd fd;
    uid_t user = 0;
    std::uint64_t last_active = 0;
    std::string out;
    bool closing = false;
    bool writing = false;
    bool ended = false;  // sends no more, and waits for answers
    sys::EventHandle on_io;
    sys::EventHandle lingering;  // set: all is written, only the client's end is waited for
  };
  StreamServer(sys::EventLoop& loop, sys::UniqueFd listener, SocketFile file, Handler handler);
  void take(sys::UniqueFd fd, const sys::PeerCredentials& who);
  bool admits(int fd, const sys::PeerCredentials& who) const;
  bool make_room(uid_t newcomer);
  void ready(ClientId id, std::uint32_t events);
  bool flush(ClientId id, Client& client);
  void watch(ClientId id, Client& client);
  void drop(ClientId id);

  sys::EventLoop& loop_;
  SocketFile file_;
  Handler handler_;
  std::map<ClientId, std::shared_ptr<Client>> clients_;
  ClientId next_ = 1;
  std::uint64_t activity_ = 0;
  sys::Acceptor acceptor_;
};

}  // namespace netserv::daemon
