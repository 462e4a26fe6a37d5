// The container's end of the control protocol (wire/ipc/container_messages.h): listens in the run folder, talks
// to one netservd at a time. While a connection lives others wait in the listen queue; when it ends, the next
// is taken, so a restarted netservd finds its container as it was.
//
// Messages to netservd are queued, at most kMostQueued; with nobody there or nobody reading, the oldest log
// lines go first, and the last status stays: it is not said again. One thread.
#pragma once

#include <poll.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "sys/seqpacket.h"
#include "wire/ipc/archive.h"
#include "wire/ipc/container_messages.h"

namespace netserv::container {

class ControlServer {
 public:
  static constexpr std::size_t kMostQueued = 256;

  // Called for each message but Hello, which is answered by `welcome` in that version of the protocol.
  struct Handler {
    virtual ~Handler() = default;
    virtual ipc::Welcome welcome(std::uint32_t protocol) = 0;
    virtual void on_message(ipc::ToContainer message, std::vector<sys::UniqueFd> fds) = 0;
  };

  // Only a peer with this uid, as seen from here, is listened to. In a user namespace the node's root is the
  // overflow uid; the run folder's mode keeps others of the node out.
  static Result<std::unique_ptr<ControlServer>> listen(const std::string& path, uid_t peer, Handler& handler);

  void send(ipc::FromContainer message);
  // Appends its two descriptors: listener and connection.
  void add_to_poll(std::vector<pollfd>& out) const;
  // After poll(); looks at the two entries that it added.
  void serve(const pollfd* entries);

 private:
  ControlServer(sys::UniqueFd listener, uid_t peer, Handler& handler)
      : listener_(std::move(listener)), peer_(peer), handler_(handler) {}
  void accept();
  void receive();
  void flush();
  void drop_connection(std::string_view why);

  sys::UniqueFd listener_;
  const uid_t peer_;
  Handler& handler_;
  sys::Channel connection_;
  bool greeted_ = false;
  std::deque<ipc::FromContainer> queue_;
};

}  // namespace netserv::container
