// libnetserv: requests along a path, for publishers' servers. A Path is one session towards one address: it goes to
// the nslpd of this host, which sends it from node to node. Blocking; for one thread.
//
//     auto route = client::route_toward(user_address);
//     auto path = client::Path::open(nslp::kDefaultClientSocket, *route);
//     auto answer = client::setup(*path, setup, publisher);          // requests.h
//     if (answer && answer->outcome() == client::Outcome::kAll) ...
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "sys/seqpacket.h"
#include "wire/nslp/client_messages.h"

namespace netserv::client {

// A flow: from an address of this host to the user's.
struct Route {
  IpAddress source;
  IpAddress destination;
};
// Asks the kernel which of this host's addresses packets to `destination` have.
Result<Route> route_toward(const IpAddress& destination);

struct NodeAnswer {
  nslp::Entry entry;
  nslp::Microseconds round_trip{};
};

enum class Outcome : unsigned char { kNoNode, kNone, kSome, kAll };
std::string_view to_string(Outcome outcome);

struct PathAnswer {
  std::vector<NodeAnswer> nodes;  // in the order of the path
  // Of the nodes that were asked to act, how many did. A part of the path that did not answer counts as one that
  // did not. kNoNode: nobody is on the path, or none was chosen.
  Outcome outcome() const;
};

class Path {
 public:
  static Result<Path> open(const std::string& socket, const Route& route);
  const Route& route() const { return route_; }
  // Waits for the answer of the whole path. With `trigger` the message takes the way back from the last node to this
  // host. Error::code is an NCM status if the message itself is at fault.
  Result<PathAnswer> send(const ncm::Message& message, bool trigger, std::chrono::milliseconds timeout);

 private:
  Path(sys::UniqueFd fd, const Route& route, Bytes session)
      : channel_(std::move(fd)), route_(route), session_(std::move(session)) {}
  Result<nslp::ClientReply> receive(std::chrono::steady_clock::time_point until);

  sys::Channel channel_;
  Route route_;
  Bytes session_;
  std::uint64_t last_ticket_ = 0;
};

}  // namespace netserv::client
