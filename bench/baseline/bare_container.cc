// The least a container can be: no runtime, no sandbox, every packet passed. Configuration 3 of the paper's Figure 11.
// Stands in for netservd towards the forwarder, and for the container towards its ring.
//
//   bare_container SOCKET PORT [FILTERS]   takes UDP to that many ports from PORT on; says "ready"; a line on standard
//                                          input prints the forwarder's counters as JSON; ends with standard input
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "ring/ring_consumer.h"
#include "sys/clock.h"
#include "sys/seqpacket.h"
#include "wire/ipc/archive.h"
#include "wire/ipc/forwarder_messages.h"

namespace netserv {
namespace {

const ContainerId kContainer{1};
constexpr auto kSpin = std::chrono::microseconds(50);

Status wait_for(int fd) {
  pollfd p{fd, POLLIN, 0};
  if (::poll(&p, 1, 10'000) <= 0) return fail(Origin::kPeer, "forwarder", "does not answer");
  return {};
}

// The next message of kind T; others are passed over.
template <class T>
Result<T> next(sys::Channel& forwarder, std::vector<sys::UniqueFd>* fds = nullptr) {
  while (true) {
    NETSERV_TRY(wait_for(forwarder.fd()));
    sys::Datagram datagram;
    NETSERV_ASSIGN(auto received, forwarder.receive(datagram, ipc::kMaxControlBytes));
    if (received == sys::Channel::Received::kClosed) return fail(Origin::kPeer, "forwarder", "has gone");
    if (received == sys::Channel::Received::kNothing) continue;
    NETSERV_ASSIGN(auto message, ipc::decode<ipc::FromForwarder>(datagram.bytes));
    if (!std::holds_alternative<T>(message)) continue;
    if (fds != nullptr) *fds = std::move(datagram.fds);
    return std::get<T>(message);
  }
}

Status tell(sys::Channel& forwarder, const ipc::ToForwarder& message) { return forwarder.send(ipc::encode(message)); }

std::size_t pass_all(ring::RingConsumer& ring) {
  static std::array<ring::SubmitDescriptor, NETSERV_BATCH_MAX> batch;
  static std::array<ring::Completion, NETSERV_BATCH_MAX> verdicts;
  std::size_t n = ring.take(batch);
  for (std::size_t i = 0; i < n; ++i) verdicts[i] = {batch[i].slot, batch[i].length, NETSERV_PASS, 0, 0, 0, 0};
  ring.complete(std::span(verdicts).first(n));
  if (n > 0) ring.flush();
  return n;
}

Status serve(sys::Channel& forwarder, ring::RingConsumer& ring) {
  TimePoint last_work = sys::now();
  while (true) {
    if (pass_all(ring) > 0) {
      last_work = sys::now();
      continue;
    }
    if ((!ring.shares_core() && sys::now() - last_work < kSpin) || !ring.prepare_wait()) continue;
    pollfd p[2] = {{ring.wake_fd(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    ::poll(p, 2, -1);
    ring.end_wait();
    if (p[1].revents == 0) continue;
    std::string line;
    if (!std::getline(std::cin, line)) return {};
    NETSERV_TRY(tell(forwarder, ipc::GetForwarderStats{}));
    NETSERV_ASSIGN(auto stats, next<ipc::ForwarderStats>(forwarder));
    std::cout << nlohmann::json(stats.node) << std::endl;
  }
}

Status run(const std::string& socket, std::uint16_t port, int count) {
  NETSERV_ASSIGN(auto fd, sys::connect_seqpacket(socket));
  sys::Channel forwarder(std::move(fd));
  NETSERV_TRY(tell(forwarder, ipc::ForwarderHello{}));
  ipc::ConfigureContainer container;
  container.container = kContainer;
  container.publisher = "bare";
  NETSERV_TRY(tell(forwarder, container));
  std::vector<sys::UniqueFd> fds;
  NETSERV_ASSIGN(auto made, next<ipc::ContainerRing>(forwarder, &fds));
  (void)made;
  if (fds.size() != 3) return fail(Origin::kPeer, "forwarder", "gave no ring");
  NETSERV_ASSIGN(auto ring, ring::RingConsumer::attach(std::move(fds[0]), std::move(fds[1]), std::move(fds[2])));
  ipc::ModuleFilter filter;
  filter.filter.protocol = 17;
  std::vector<ipc::ModuleFilter> filters;
  for (int i = 0; i < count; ++i) {
    filter.filter.destination_port = static_cast<std::uint16_t>(port + i);
    filters.push_back(filter);
  }
  NETSERV_TRY(tell(forwarder, ipc::SetFilters{kContainer, 1, filters}));
  NETSERV_ASSIGN(auto set, next<ipc::FiltersSet>(forwarder));
  if (!set.error.empty()) return fail(Origin::kPeer, "filters", set.error);
  std::cout << "{\"ready\": true}" << std::endl;
  return serve(forwarder, *ring);
}

}  // namespace
}  // namespace netserv

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) {
    std::fputs("usage: bare_container SOCKET PORT [FILTERS]\n", stderr);
    return 2;
  }
  netserv::Status done = netserv::run(argv[1], static_cast<std::uint16_t>(std::atoi(argv[2])),
                                     argc == 4 ? std::atoi(argv[3]) : 1);
  if (!done) std::fprintf(stderr, "bare_container: %s\n", done.error().message().c_str());
  return done ? 0 : 1;
}
