// Between nslpd and programs on its host (libnetserv, the netserv command): one message a packet on a UNIX seqpacket
// socket, encoded as wire/ipc/archive.h says.
#pragma once

#include <string>
#include <variant>

#include "wire/ipc/archive.h"
#include "wire/nslp/message.h"

namespace netserv::nslp {

inline constexpr std::size_t kMaxClientMessage = 64 * 1024;
inline constexpr const char* kDefaultClientSocket = "/run/netserv/nslp.sock";

// Sends an NCM along the path from `source` to `destination`. Answered by PathAnswer or PathRefused with the same
// ticket. A session belongs to the connection that used it first.
struct SendAlongPath {
  std::uint64_t ticket = 0;
  Bytes session;  // 16 random bytes, the same for all requests along one path
  IpAddress source;
  IpAddress destination;
  bool trigger = false;
  std::string ncm;  // text
  std::uint32_t timeout_ms = 30000;
  template <class A> void fields(A& a) { a(ticket, session, source, destination, trigger, ncm, timeout_ms); }
};

// The session is of no more use; so are all of a connection's when it ends.
struct EndSession {
  Bytes session;
  template <class A> void fields(A& a) { a(session); }
};

struct PathAnswer {
  std::uint64_t ticket = 0;
  std::uint32_t wait_us = 0;
  Bytes response;  // nslp::Response, encoded
  template <class A> void fields(A& a) { a(ticket, wait_us, response); }
};

struct PathRefused {
  std::uint64_t ticket = 0;
  std::uint16_t code = 0;  // of ncm/status.h, or 0
  std::string subject, text;
  template <class A> void fields(A& a) { a(ticket, code, subject, text); }
};

using ClientRequest = std::variant<SendAlongPath, EndSession>;
using ClientReply = std::variant<PathAnswer, PathRefused>;

}  // namespace netserv::nslp
