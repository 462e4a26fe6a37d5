// UNIX seqpacket sockets that carry one message a datagram, with descriptors beside it. Small on purpose: the
// container links it too.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "sys/fd.h"

namespace netserv::sys {

struct Datagram {
  Bytes bytes;
  std::vector<UniqueFd> fds;
};

struct PeerCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

// Listening socket at `path` (replaces a stale one), with file mode `mode`. Close-on-exec, non-blocking.
Result<UniqueFd> listen_seqpacket(const std::string& path, unsigned mode);
// Never blocks: a peer with a full backlog is an error. The descriptor is non-blocking.
Result<UniqueFd> connect_seqpacket(const std::string& path);
Result<UniqueFd> listen_stream(const std::string& path, unsigned mode);
Result<UniqueFd> connect_stream(const std::string& path);
// An error with text "would block" semantics is signalled by an empty UniqueFd, not an Error.
Result<UniqueFd> accept_connection(int listener);
Result<PeerCredentials> peer_credentials(int fd);  // SO_PEERCRED

// One message over a connected non-blocking seqpacket socket.
class Channel {
 public:
  Channel() = default;
  explicit Channel(UniqueFd fd) : fd_(std::move(fd)) {}
  int fd() const { return fd_.get(); }
  bool open() const { return static_cast<bool>(fd_); }
  void close() { fd_.reset(); }

  // Whole or not at all. EAGAIN (the peer does not read) is an error like any other: the caller decides.
  Status send(ByteSpan message, const std::vector<int>& fds = {});

  enum class Received { kMessage, kNothing, kClosed };
  // kNothing: try again when readable. Messages over `limit` bytes are an error (origin peer).
  Result<Received> receive(Datagram& out, std::size_t limit);

 private:
  UniqueFd fd_;
};

}  // namespace netserv::sys
