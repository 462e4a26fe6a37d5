#include "client/path.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "wire/ncm/status.h"

namespace netserv::client {
namespace {

sockaddr_storage to_sockaddr(const IpAddress& address, socklen_t& length) {
  sockaddr_storage out{};
  if (address.is_v4()) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(out);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(270);
    std::memcpy(&v4.sin_addr, address.bytes().data(), 4);
    length = sizeof v4;
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(out);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(270);
    std::memcpy(&v6.sin6_addr, address.bytes().data(), 16);
    length = sizeof v6;
  }
  return out;
}

}  // namespace

Result<Route> route_toward(const IpAddress& destination) {
  socklen_t length = 0;
  sockaddr_storage peer = to_sockaddr(destination, length), own{};
  sys::UniqueFd fd(::socket(peer.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno(destination.to_string(), "socket", errno);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&peer), length) != 0)
    return fail_errno(destination.to_string(), "no route", errno);
  socklen_t own_length = sizeof own;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&own), &own_length) != 0)
    return fail_errno(destination.to_string(), "getsockname", errno);
  const auto* bytes = own.ss_family == AF_INET
                          ? reinterpret_cast<const std::byte*>(&reinterpret_cast<const sockaddr_in&>(own).sin_addr)
                          : reinterpret_cast<const std::byte*>(&reinterpret_cast<const sockaddr_in6&>(own).sin6_addr);
  return Route{IpAddress::from_bytes({bytes, own.ss_family == AF_INET ? 4u : 16u}), destination};
}

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kNoNode: return "no node";
    case Outcome::kNone: return "none";
    case Outcome::kSome: return "some";
    case Outcome::kAll: return "all";
  }
  return "?";
}

Outcome PathAnswer::outcome() const {
  std::size_t asked = 0, done = 0;
  for (const NodeAnswer& n : nodes) {
    if (n.entry.code == ncm::StatusCode::kNotSelected) continue;
    ++asked;
    done += !ncm::is_failure(n.entry.code) && n.entry.state != "FAILED";
  }
  if (asked == 0) return Outcome::kNoNode;
  if (done == 0) return Outcome::kNone;
  return done == asked ? Outcome::kAll : Outcome::kSome;
}

Result<Path> Path::open(const std::string& socket, const Route& route) {
  NETSERV_ASSIGN(sys::UniqueFd fd, sys::connect_seqpacket(socket));
  Bytes session(16);
  if (::getrandom(session.data(), session.size(), 0) != static_cast<ssize_t>(session.size()))
    return fail(Origin::kSystem, "session", "the system's random source gave no bytes");
  return Path(std::move(fd), route, std::move(session));
}

Result<nslp::ClientReply> Path::receive(std::chrono::steady_clock::time_point until) {
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd p{channel_.fd(), POLLIN, 0};
    const int ready = ::poll(&p, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return fail_errno("nslpd", "poll", errno);
    if (ready == 0) return fail(Origin::kSystem, "nslpd", "did not answer in time", ncm::number(ncm::StatusCode::kNoAnswer));
    sys::Datagram packet;
    NETSERV_ASSIGN(auto got, channel_.receive(packet, nslp::kMaxClientMessage));
    if (got == sys::Channel::Received::kClosed) return fail(Origin::kSystem, "nslpd", "closed the connection");
    if (got == sys::Channel::Received::kMessage) return ipc::decode<nslp::ClientReply>(packet.bytes);
  }
}

Result<PathAnswer> Path::send(const ncm::Message& message, bool trigger, std::chrono::milliseconds timeout) {
  const nslp::SendAlongPath request{++last_ticket_, session_, route_.source, route_.destination, trigger,
                                    ncm::print_message(message), static_cast<std::uint32_t>(timeout.count())};
  NETSERV_TRY(channel_.send(ipc::encode(nslp::ClientRequest(request))));
  // nslpd keeps to the timeout and says what it knows; this is for one that hangs.
  const auto until = std::chrono::steady_clock::now() + timeout + std::chrono::seconds(2);
  while (true) {
    NETSERV_ASSIGN(nslp::ClientReply reply, receive(until));
    if (const auto* refused = std::get_if<nslp::PathRefused>(&reply)) {
      if (refused->ticket == request.ticket) return fail(Origin::kPublisher, refused->subject, refused->text, refused->code);
      continue;
    }
    const auto& answer = std::get<nslp::PathAnswer>(reply);
    if (answer.ticket != request.ticket) continue;
    NETSERV_ASSIGN(nslp::Message decoded, nslp::decode(answer.response));
    const auto* response = std::get_if<nslp::Response>(&decoded);
    if (!response) return fail(Origin::kPeer, "nslpd", "sent no response");
    const auto times = nslp::round_trips(response->stack, nslp::Microseconds(answer.wait_us));
    PathAnswer out;
    for (std::size_t i = 0; i < times.size(); ++i) out.nodes.push_back({response->stack[i], times[i]});
    return out;
  }
}

}  // namespace netserv::client
