// nslpd's connection to gistd. Attaches as soon as gistd is there, and again after it has been restarted.
#pragma once

#include <functional>
#include <string>

#include "sys/event_loop.h"
#include "sys/seqpacket.h"
#include "wire/gist_api/codec.h"

namespace netserv::daemons {

class GistLink {
 public:
  struct Handlers {
    std::function<void()> attached;  // each time
    std::function<void(const gist::ApiMessage&)> message;
  };
  GistLink(sys::EventLoop& loop, std::string path, gist::Attach attach, Handlers handlers);
  bool attached() const { return attached_; }
  // Lost if gistd is not there: it tells nothing about what it did not get, and GistLink tells when it is back.
  void send(const gist::ApiMessage& message);

 private:
  void connect();
  void read();
  void drop(std::string_view why);

  sys::EventLoop& loop_;
  const std::string path_;
  const gist::Attach attach_;
  const Handlers handlers_;
  sys::Channel channel_;
  bool attached_ = false;
  bool complained_ = false;
  sys::EventHandle readable_, retry_;
};

}  // namespace netserv::daemons
