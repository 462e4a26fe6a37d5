// nslpd's connection to this node's netservd: NCM text over its stream socket, answers in order. Connects when there is
// something to ask.
#pragma once

#include <deque>
#include <functional>
#include <string>

#include "nslp/output.h"
#include "sys/event_loop.h"
#include "sys/fd.h"
#include "wire/ncm/reader.h"

namespace netserv::daemons {

class ControllerLink {
 public:
  using Answered = std::function<void(nslp::ControllerTicket, const ncm::Response&)>;
  ControllerLink(sys::EventLoop& loop, std::string path, Answered answered);
  // Always answered, later: by netservd, or with kNodeUnavailable when it can't be reached or goes away.
  void ask(const nslp::AskController& question);

 private:
  bool connect();
  void ready(std::uint32_t events);
  void write();
  void read();
  void drop(std::string_view why);

  sys::EventLoop& loop_;
  const std::string path_;
  const Answered answered_;
  sys::UniqueFd fd_;
  std::uint32_t watched_ = 0;
  std::string out_;
  ncm::ResponseReader reader_;
  std::deque<nslp::ControllerTicket> waiting_;
  sys::EventHandle io_;
};

}  // namespace netserv::daemons
