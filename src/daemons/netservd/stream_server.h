// A UNIX stream socket whose clients send units (an NCM, a line) and get text back. Who handles units keeps their
// order; this keeps connections, buffers and their bounds.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
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

class StreamServer {
 public:
  struct Handler {
    std::function<void(ClientId)> opened;
    std::function<void(ClientId, std::string_view bytes)> received;
    std::function<void(ClientId)> closed;  // also after close()
  };
  // At most 64 clients; one that leaves 4 MiB unread is closed. Beside the file's mode, who a client is
  // (SO_PEERCRED) is held against may_connect().
  static Result<std::unique_ptr<StreamServer>> listen(sys::EventLoop& loop, const std::string& path, unsigned mode,
                                                      Handler handler);
  void write(ClientId client, std::string_view text);
  // Once everything written has gone out; what the client still sends is thrown away.
  void close(ClientId client);

 private:
  struct Client {
    sys::UniqueFd fd;
    std::string out;
    bool closing = false;
    bool writing = false;
    sys::EventHandle on_io;
    sys::EventHandle lingering;  // set: all is written, only the client's end is waited for
  };
  StreamServer(sys::EventLoop& loop, sys::UniqueFd listener, SocketFile file, Handler handler);
  void accept_all();
  bool admits(int fd) const;
  void ready(ClientId id, std::uint32_t events);
  bool flush(ClientId id, Client& client);
  void drop(ClientId id);

  sys::EventLoop& loop_;
  sys::UniqueFd listener_;
  SocketFile file_;
  Handler handler_;
  sys::EventHandle on_accept_;
  std::map<ClientId, std::shared_ptr<Client>> clients_;
  ClientId next_ = 1;
};

}  // namespace netserv::daemon
