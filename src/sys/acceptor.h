// Takes connections at a listening UNIX socket as they come, and asks who is at the other end.
//
// With no descriptor left a connection can't be taken, and would wake the loop for ever: one descriptor is kept in
// reserve, to take such a connection with and close it.
#pragma once

#include <functional>

#include "base/result.h"
#include "sys/event_loop.h"
#include "sys/fd.h"
#include "sys/seqpacket.h"

namespace netserv::sys {

class Acceptor {
 public:
  // Dropping the descriptor refuses the connection. May destroy nothing but what it was given.
  using Take = std::function<void(UniqueFd, const PeerCredentials&)>;
  Acceptor(EventLoop& loop, UniqueFd listener, Take take);
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

 private:
  void on_readable();
  bool turn_away();

  UniqueFd listener_;
  UniqueFd reserve_;
  Take take_;
  EventHandle readable_;
};

}  // namespace netserv::sys
