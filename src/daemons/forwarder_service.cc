#include "daemons/forwarder_service.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>
#include <utility>

#include "base/log.h"
#include "ring/ring_producer.h"
#include "sys/clock.h"
#include "wire/ipc/archive.h"
#include "wire/ipc/stats_pages.h"

namespace netserv::daemons {
namespace {

constexpr LogSubject kSubject{.name = "forwarder"};
constexpr int kMostMessages = 8;  // before the loop looks at other events
constexpr std::size_t kCopiesATurn = 2048;  // before the loop looks at other events
constexpr std::size_t kFewestCopies = 16;   // at a time, however many modules of a container observe
// Between looks for copies: when observers have no room for all there are; while there are some. When there have been none for a while,
// look_around() looks.
constexpr auto kCopiesSoon = std::chrono::microseconds(100);
constexpr auto kCopiesOften = std::chrono::milliseconds(1);
constexpr auto kCopiesRarely = std::chrono::milliseconds(32);
constexpr int kCopiesPatience = 50;  // with those who have no room: this part of what a container has before it counts as stalled

constexpr auto kAddressesInterval = std::chrono::seconds(2);

std::vector<Prefix> interface_addresses() {
  std::vector<Prefix> out;
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return out;
  std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> list(first, ::freeifaddrs);
  for (const ifaddrs* i = first; i != nullptr; i = i->ifa_next) {
    if (i->ifa_addr == nullptr) continue;
    if (i->ifa_addr->sa_family == AF_INET) {
      const auto& a = reinterpret_cast<const sockaddr_in&>(*i->ifa_addr).sin_addr;
      out.emplace_back(IpAddress::from_bytes(std::as_bytes(std::span(&a, 1))), 32);
    } else if (i->ifa_addr->sa_family == AF_INET6) {
      const auto& a = reinterpret_cast<const sockaddr_in6&>(*i->ifa_addr).sin6_addr;
      out.emplace_back(IpAddress::from_bytes(std::as_bytes(std::span(&a, 1))), 128);
    }
  }
  return out;
}

std::string name_of(ContainerId id) { return "container " + std::to_string(id.value()); }

}  // namespace

ForwarderService::ForwarderService(sys::EventLoop& loop, plane::LivePlane& plane, ForwarderOptions options)
    : loop_(loop), plane_(plane), options_(std::move(options)) {}

ForwarderService::~ForwarderService() { plane_.set_on_parts({}); }

Result<std::unique_ptr<ForwarderService>> ForwarderService::start(sys::EventLoop& loop, plane::LivePlane& plane,
                                                                  ForwarderOptions options) {
  std::unique_ptr<ForwarderService> service(new ForwarderService(loop, plane, std::move(options)));
  ForwarderService* s = service.get();
  NETSERV_ASSIGN(sys::UniqueFd listener, sys::listen_seqpacket(s->options_.socket, 0600));
  s->acceptor_ = std::make_unique<sys::Acceptor>(
      loop, std::move(listener), [s](sys::UniqueFd fd, const sys::PeerCredentials& peer) { s->accept(std::move(fd), peer); });
  NETSERV_ASSIGN(s->crew_, ForwarderCrew::start(loop, plane, *s, s->options_.crew));
  plane.set_on_parts([s](const std::function<void(std::size_t)>& each, std::function<void()> then) {
    s->crew_->on_each([each](std::size_t part, ForwarderWorker&) { each(part); }, std::move(then));
  });
  s->reserve_addresses();
  s->addresses_timer_ = loop.every(kAddressesInterval, [s] { s->reserve_addresses(); });
  s->look_around_timer_ = loop.every(plane::PlanePart::kAliveInterval, [s] { s->look_around(); });
  return service;
}

void ForwarderService::shut_down() {
  report_plane(plane_.want({}));
  crew_->shut_down();
}

// --- netservd ---

void ForwarderService::accept(sys::UniqueFd fd, const sys::PeerCredentials& peer) {
  if (peer.uid != 0 && peer.uid != ::geteuid()) {
    log_warning(kSubject, "refused a control connection of uid {}", peer.uid);
    return;
  }
  drop_control("replaced by a new connection");
  control_ = sys::Channel(std::move(fd));
  controlling_ = loop_.on_io(control_.fd(), EPOLLIN, [this](std::uint32_t) { on_control(); });
}

void ForwarderService::drop_control(std::string_view why) {
  if (!control_.open()) return;
  log_info(kSubject, "control connection ended: {}; filters stay in force", why);
  controlling_.reset();
  control_.close();
}

void ForwarderService::on_control() {
  for (int i = 0; i < kMostMessages && control_.open(); ++i) {
    sys::Datagram datagram;
    auto received = control_.receive(datagram, ipc::kMaxControlBytes);
    if (!received) return drop_control(received.error().message());
    if (*received == sys::Channel::Received::kNothing) break;
    if (*received == sys::Channel::Received::kClosed) return drop_control("closed by netservd");
    auto message = ipc::decode<ipc::ToForwarder>(datagram.bytes);
    if (!message) return drop_control(message.error().message());
    std::visit([this](const auto& m) { handle(m); }, *message);
  }
  crew_->first().settle();
}

void ForwarderService::send(const ipc::FromForwarder& message, const std::vector<int>& fds) {
  if (!control_.open()) return;
  if (Status sent = control_.send(ipc::encode(message), fds); !sent)
    loop_.post([this, why = sent.error().message()] { drop_control(why); });
}

void ForwarderService::handle(const ipc::ForwarderHello& hello) {
  if (hello.protocol != ipc::kForwarderProtocol)
    log_warning(kSubject, "netservd speaks protocol {}, not {}", hello.protocol, ipc::kForwarderProtocol);
  send(ipc::ForwarderWelcome{ipc::kForwarderProtocol, plane_.name(), plane_.detail(), options_.plane_reason,
                             static_cast<std::uint32_t>(crew_->size()), ring::kVersion});
}

void ForwarderService::handle(const ipc::ConfigureContainer& config) {
  Container& container = containers_[config.container];
  if (!container.allowance)
    container.allowance = std::make_shared<forward::Allowance>(
        crew_->size() == 1 ? forward::Takers::kOneThread : forward::Takers::kSeveral);
  container.allowance->packets.set_rate(config.emit_packets_per_second);
  container.allowance->bytes.set_rate(config.send_bytes_per_second);
  crew_->on_each([config, allowance = container.allowance](std::size_t, ForwarderWorker& worker) {
    worker.core().configure(config, allowance);
  }, [] {});
  report_plane(update_plane());
  if (config.keep_ring && container.has_rings && !container.corrupted) return;
  if (Status made = make_rings(config.container); !made) {
    log_error(kSubject, "{}: {}", name_of(config.container), made.error().message());
    send(ipc::PlaneProblem{name_of(config.container) + ": " + made.error().message()});
  }
}

void ForwarderService::handle(const ipc::SetReserved& m) {
  management_ = m.prefixes;
  reserve_addresses();
}

void ForwarderService::reserve_addresses() {
  std::vector<Prefix> all = interface_addresses();
  all.insert(all.end(), management_.begin(), management_.end());
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  if (std::exchange(reserved_, all) == all) return;
  crew_->on_each([all = forward::ReservedAddresses(all)](std::size_t, ForwarderWorker& worker) {
    worker.core().set_reserved(all);
  }, [] {});
}

// A ring for each worker. The container gets their descriptors when all workers have them.
Status ForwarderService::make_rings(ContainerId id) {
  using Rings = std::vector<std::unique_ptr<ring::RingProducer>>;
  const std::uint32_t slots = ring::slots_of_part(static_cast<std::uint32_t>(crew_->size()));
  auto rings = std::make_shared<Rings>();
  auto files = std::make_shared<std::vector<sys::UniqueFd>>();  // copies: the rings may be gone again by then
  for (std::size_t i = 0; i < crew_->size(); ++i) {
    NETSERV_ASSIGN(auto ring, ring::RingProducer::create(options_.ring_directory, slots));
    for (int fd : {ring->file_fd(), ring->container_event_fd(), ring->forwarder_event_fd()}) {
      files->emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
      if (!files->back()) return fail_errno("ring", "dup", errno);
    }
    rings->push_back(std::move(ring));
  }
  containers_[id].has_rings = true;
  crew_->on_each([id, rings](std::size_t number, ForwarderWorker& worker) {
    worker.attach(id, std::move((*rings)[number]));
  }, [this, id, files] {
    auto found = containers_.find(id);
    if (found == containers_.end()) return;
    found->second.corrupted = false;
    found->second.stalled_at.clear();
    std::vector<int> fds;
    for (const sys::UniqueFd& fd : *files) fds.push_back(fd.get());
    send(ipc::ContainerRing{id}, fds);
  });
  return {};
}

void ForwarderService::handle(const ipc::RemoveContainer& m) {
  containers_.erase(m.container);
  crew_->on_each([id = m.container](std::size_t, ForwarderWorker& worker) { worker.remove(id); }, [] {});
  report_plane(update_plane());
}

void ForwarderService::handle(const ipc::SetFilters& m) {
  forward::Forwarder& first = crew_->first().core();
  ipc::FiltersSet answer{m.container, m.generation, {}};
  Status set = first.set_filters(m.container, m.filters);
  if (set) {
    set = update_plane();
    if (!set) (void)first.set_filters(m.container, containers_[m.container].filters);  // it was in force before
  }
  if (!set) {
    answer.error = set.error().message();
    log_warning(kSubject, "{}: filters refused: {}", name_of(m.container), answer.error);
    return send(answer);
  }
  containers_[m.container].filters = m.filters;
  crew_->on_others([m](std::size_t, ForwarderWorker& worker) {
    NETSERV_CHECK(worker.core().set_filters(m.container, m.filters).has_value());  // the first one has taken them
  }, [this, answer] { send(answer); });
}

void ForwarderService::handle(const ipc::SetDrain& m) {
  crew_->on_each([m](std::size_t, ForwarderWorker& worker) { worker.core().set_drain(m.draining); }, [] {});
  report_plane(update_plane());
}

void ForwarderService::handle(const ipc::GetForwarderStats& m) {
  if (m.from != 0) return send(ipc::stats_page(stats_, m.from));
  auto shares = std::make_shared<std::vector<ipc::ForwarderStats>>(crew_->size());  // each worker writes its own
  crew_->on_each([shares](std::size_t number, ForwarderWorker& worker) { (*shares)[number] = worker.stats(); },
                 [this, shares] {
                   stats_ = sum(std::move(*shares));
                   send(ipc::stats_page(stats_, 0));
                 });
}

ipc::ForwarderStats ForwarderService::sum(std::vector<ipc::ForwarderStats> shares) {
  ipc::ForwarderStats all;
  all.node = plane_.counters();
  all.plane_detail = plane_.detail();
  std::map<ContainerId, ipc::ContainerCounters> containers;
  for (ipc::ForwarderStats& share : shares) {
    for (const auto& [name, value] : share.node) all.node[name] += value;
    for (ipc::ContainerCounters& one : share.containers) {
      const auto [known, is_new] = containers.try_emplace(one.container, std::move(one));
      if (is_new) continue;
      for (const auto& [name, value] : one.counters) known->second.counters[name] += value;
    }
  }
  for (auto& [id, counters] : containers) all.containers.push_back(std::move(counters));
  return all;
}

// --- packets: what the plane does for all workers ---

Status ForwarderService::update_plane() {
  auto wanted = crew_->first().core().wanted();
  bool observed = std::ranges::any_of(wanted, [](const forward::Wanted& w) { return w.observer; });
  observers_ = observed ? crew_->first().core().most_observers() : 0;
  if (!observed) copies_timer_.reset();
  if (observed && !copies_timer_) copies_timer_ = loop_.after(kCopiesOften, [this] { take_copies(); });
  return plane_.want(wanted);
}

void ForwarderService::report_plane(const Status& status) {
  if (status) return;
  log_error(kSubject, "{}", status.error().message());
  send(ipc::PlaneProblem{status.error().message()});
}

void ForwarderService::look_around() {
  plane_.look_around(sys::now());
  if (observers_ > 0 && !copies_timer_) take_copies();  // with no timer of its own: an idle node wakes up less often
}

// The kernel gathers copies without waking anyone: a wake-up each would cost more than the copy. It has more room than a ring, so
// copies stay there until observers have got on. Whoever does not get on in time loses some, and is not waited for in this turn.
void ForwarderService::take_copies() {
  ForwarderWorker& worker = crew_->first();
  const std::size_t places = ring::slots_of_part(static_cast<std::uint32_t>(crew_->size())) / 2;
  const std::size_t at_a_time = std::max(kFewestCopies, places / std::max<std::size_t>(1, observers_));
  const Duration patience = options_.crew.limits.stall / kCopiesPatience;
  std::set<ContainerId> late;
  std::size_t taken = 0;
  bool more = true;
  while (more && taken < kCopiesATurn) {
    const TimePoint now = sys::now();
    std::vector<ContainerId> full = worker.observers_without_room(places);
    std::erase_if(full, [&](ContainerId id) { return late.contains(id); });
    if (!full.empty() && now - copies_given_ < patience) break;
    late.insert(full.begin(), full.end());
    const std::size_t n = plane_.take_copies(at_a_time, [&](std::span<const forward::Packet> copies, std::uint32_t sampled_one_in) {
      worker.core().on_copies(copies, sampled_one_in, now);
    });
    if (n > 0) copies_given_ = now;
    taken += n;
    more = n > 0;
  }
  copies_interval_ = more        ? Duration(kCopiesSoon)
                     : taken > 0 ? Duration(kCopiesOften)
                                 : std::clamp<Duration>(2 * copies_interval_, kCopiesOften, kCopiesRarely);
  copies_timer_.reset();
  if (copies_interval_ < kCopiesRarely) copies_timer_ = loop_.after(copies_interval_, [this] { take_copies(); });
  std::uint64_t lost = plane_.copies_lost();
  if (lost != copies_lost_) worker.core().on_copies_lost(lost - std::exchange(copies_lost_, lost));
  if (taken > 0) worker.settle();
}

// Each worker finds out by itself; netservd hears of the first one, and when the last one has resumed.
void ForwarderService::on_stalled(std::size_t worker, ContainerId id, std::uint32_t in_flight) {
  auto found = containers_.find(id);
  if (found == containers_.end()) return;
  bool first = found->second.stalled_at.empty();
  found->second.stalled_at.insert(worker);
  if (!first) return;
  log_warning(kSubject, "{} does not answer; {} packets passed on, later ones pass by", name_of(id), in_flight);
  send(ipc::ContainerStalled{id, in_flight});
}

void ForwarderService::on_resumed(std::size_t worker, ContainerId id) {
  auto found = containers_.find(id);
  if (found == containers_.end() || found->second.stalled_at.erase(worker) == 0 || !found->second.stalled_at.empty())
    return;
  log_info(kSubject, "{} answers again", name_of(id));
  send(ipc::ContainerResumed{id});
}

void ForwarderService::on_corrupted(ContainerId id, std::string_view reason) {
  auto found = containers_.find(id);
  if (found == containers_.end() || std::exchange(found->second.corrupted, true)) return;
  log_error(kSubject, "{} cut off: {}", name_of(id), reason);
  send(ipc::RingCorrupted{id, std::string(reason)});
}

}  // namespace netserv::daemons
