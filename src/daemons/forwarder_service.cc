#include "daemons/forwarder_service.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/log.h"
#include "plane/ring_port.h"
#include "sys/clock.h"
#include "wire/ipc/archive.h"

namespace netserv::daemons {
namespace {

constexpr LogSubject kSubject{.name = "forwarder"};
constexpr Duration kPatience = std::chrono::microseconds(50);  // without work, before the loop sleeps
constexpr Duration kAnswerWait = std::chrono::microseconds(500);
constexpr std::size_t kLoad = 16;  // packets in a batch
constexpr int kRounds = 8;  // batches before the loop looks at other events
constexpr auto kStallRecheck = std::chrono::milliseconds(10);
// Between looks for copies: the shortest while there are some, the longest when there have been none for a while.
constexpr auto kCopiesOften = std::chrono::milliseconds(1);
constexpr auto kCopiesRarely = std::chrono::milliseconds(32);

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
    : loop_(loop), plane_(plane), options_(std::move(options)), core_(plane, *this, options_.limits) {}

ForwarderService::~ForwarderService() = default;

Result<std::unique_ptr<ForwarderService>> ForwarderService::start(sys::EventLoop& loop, plane::LivePlane& plane,
                                                                  ForwarderOptions options) {
  std::unique_ptr<ForwarderService> service(new ForwarderService(loop, plane, std::move(options)));
  ForwarderService* s = service.get();
  NETSERV_ASSIGN(sys::UniqueFd listener, sys::listen_seqpacket(s->options_.socket, 0600));
  s->acceptor_ = std::make_unique<sys::Acceptor>(
      loop, std::move(listener), [s](sys::UniqueFd fd, const sys::PeerCredentials& peer) { s->accept(std::move(fd), peer); });
  s->listen_to_plane();
  s->reserve_addresses();
  s->addresses_timer_ = loop.every(kAddressesInterval, [s] { s->reserve_addresses(); });
  plane.alive(sys::now());
  s->alive_timer_ = loop.every(plane::LivePlane::kAliveInterval, [s] { s->plane_.alive(sys::now()); });
  return service;
}

void ForwarderService::shut_down() {
  report_plane(plane_.want({}));
  core_.set_drain(true);
  while (true) {
    auto packets = plane_.receive(sys::now());
    if (packets.empty()) break;
    core_.on_packets(packets, sys::now());
  }
  for (ContainerId id : core_.containers()) core_.remove(id, sys::now());
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
  for (int i = 0; i < kRounds && control_.open(); ++i) {
    sys::Datagram datagram;
    auto received = control_.receive(datagram, ipc::kMaxControlBytes);
    if (!received) return drop_control(received.error().message());
    if (*received == sys::Channel::Received::kNothing) break;
    if (*received == sys::Channel::Received::kClosed) return drop_control("closed by netservd");
    auto message = ipc::decode<ipc::ToForwarder>(datagram.bytes);
    if (!message) return drop_control(message.error().message());
    std::visit([this](const auto& m) { handle(m); }, *message);
  }
  settle();
}

void ForwarderService::send(const ipc::FromForwarder& message, const std::vector<int>& fds) {
  if (!control_.open()) return;
  if (Status sent = control_.send(ipc::encode(message), fds); !sent)
    loop_.post([this, why = sent.error().message()] { drop_control(why); });
}

void ForwarderService::handle(const ipc::ForwarderHello& hello) {
  if (hello.protocol != ipc::kForwarderProtocol)
    log_warning(kSubject, "netservd speaks protocol {}, not {}", hello.protocol, ipc::kForwarderProtocol);
  send(ipc::ForwarderWelcome{ipc::kForwarderProtocol, plane_.name(), plane_.detail(), options_.plane_reason});
}

void ForwarderService::handle(const ipc::ConfigureContainer& config) {
  core_.configure(config);
  report_plane(update_plane());
  if (config.keep_ring && core_.has_port(config.container)) return;
  if (Status made = make_ring(config.container); !made) {
    log_error(kSubject, "{}: {}", name_of(config.container), made.error().message());
    send(ipc::PlaneProblem{name_of(config.container) + ": " + made.error().message()});
    return;
  }
  ring::RingProducer& ring = *containers_[config.container].ring;
  send(ipc::ContainerRing{config.container},
       {ring.file_fd(), ring.container_event_fd(), ring.forwarder_event_fd()});
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
  core_.set_reserved(forward::ReservedAddresses(all));
}

Status ForwarderService::make_ring(ContainerId id) {
  NETSERV_ASSIGN(auto ring, ring::RingProducer::create(options_.ring_directory));
  Container& container = containers_[id];
  container.wake.reset();
  container.ring = ring.get();
  container.wake = loop_.on_io(ring->forwarder_event_fd(), EPOLLIN, [this, r = ring.get()](std::uint32_t) {
    r->end_wait();
    if (!plane_.polls_itself()) return settle();
    last_work_ = sys::now();
    work();
  });
  core_.attach(id, std::make_unique<plane::RingPort>(std::move(ring)), sys::now());
  return {};
}

void ForwarderService::handle(const ipc::RemoveContainer& m) {
  containers_.erase(m.container);
  filters_.erase(m.container);
  core_.remove(m.container, sys::now());
  report_plane(update_plane());
}

void ForwarderService::handle(const ipc::SetFilters& m) {
  ipc::FiltersSet answer{m.container, m.generation, {}};
  Status set = core_.set_filters(m.container, m.filters);
  if (set) {
    set = update_plane();
    if (!set) (void)core_.set_filters(m.container, filters_[m.container]);  // it was in force before
  }
  if (set) {
    filters_[m.container] = m.filters;
  } else {
    answer.error = set.error().message();
    log_warning(kSubject, "{}: filters refused: {}", name_of(m.container), answer.error);
  }
  send(answer);
}

void ForwarderService::handle(const ipc::SetDrain& m) {
  core_.set_drain(m.draining);
  report_plane(update_plane());
}

void ForwarderService::handle(const ipc::GetForwarderStats&) {
  ipc::ForwarderStats stats;
  stats.node = core_.counters().named();
  stats.node.merge(plane_.counters());
  stats.node["in_flight"] = core_.in_flight();
  for (ContainerId id : core_.containers()) {
    ipc::ContainerCounters c{id, core_.counters(id)->named()};
    c.counters["in_flight"] = core_.in_flight(id);
    if (auto found = containers_.find(id); found != containers_.end() && found->second.ring != nullptr) {
      const ring::RingCounters& r = found->second.ring->counters();
      c.counters["ring_bad_completions"] = r.bad_completions;
      c.counters["ring_late_completions"] = r.late_completions;
      c.counters["ring_bad_emits"] = r.bad_emits;
      c.counters["ring_wakeups"] = r.wakeups;
      c.counters["ring_idle_wakeups"] = r.idle_wakeups;
    }
    stats.containers.push_back(std::move(c));
  }
  send(stats);
}

// --- packets ---

Status ForwarderService::update_plane() {
  auto wanted = core_.wanted();
  bool observed = std::ranges::any_of(wanted, [](const forward::Wanted& w) { return w.observer; });
  if (!observed) copies_timer_.reset();
  if (observed && !copies_timer_) copies_timer_ = loop_.after(kCopiesOften, [this] { take_copies(); });
  return plane_.want(wanted);
}

void ForwarderService::report_plane(const Status& status) {
  if (status) return;
  log_error(kSubject, "{}", status.error().message());
  send(ipc::PlaneProblem{status.error().message()});
}

// The kernel gathers copies without waking anyone: a wake-up each would cost more than the copy.
void ForwarderService::take_copies() {
  TimePoint now = sys::now();
  bool some = false;
  plane_.take_copies([&](std::span<const forward::Packet> copies, std::uint32_t sampled_one_in) {
    some = true;
    core_.on_copies(copies, sampled_one_in, now);
  });
  copies_interval_ = some ? Duration(kCopiesOften) : std::min<Duration>(2 * copies_interval_, kCopiesRarely);
  copies_timer_ = loop_.after(copies_interval_, [this] { take_copies(); });
  std::uint64_t lost = plane_.copies_lost();
  if (lost != copies_lost_) core_.on_copies_lost(lost - std::exchange(copies_lost_, lost));
  settle();
}

void ForwarderService::listen_to_plane() {
  if (plane_.fd() < 0 || plane_readable_) return;
  plane_readable_ = loop_.on_io(plane_.fd(), EPOLLIN, [this](std::uint32_t) { on_plane_readable(); });
}

void ForwarderService::on_plane_readable() {
  for (auto& [id, container] : containers_)
    if (container.ring != nullptr) container.ring->clear_waiting();
  last_work_ = sys::now();
  work();
}

// Takes packets and answers for as long as they come. With nothing to take it looks again for kPatience if that saves
// a wake-up: where this process drives the interfaces itself, or a container at work on another core will answer soon.
void ForwarderService::work() {
  for (int i = 0; i < kRounds; ++i) {
    TimePoint now = sys::now();
    auto packets = plane_.receive(now);
    if (!packets.empty()) {
      core_.on_packets(packets, now);
      last_batch_ = packets.size();
    }
    std::size_t answers = core_.poll(now);
    if (answers > 0) patient_ = true;
    if (answers > 0 || !packets.empty()) last_work_ = now;
    bool waits = core_.in_flight() > 0;
    if (waits && shares_core()) {
      if (!patient_ || !await_answers()) return settle();
      continue;
    }
    if (packets.empty() && !waits && !plane_.polls_itself()) {
      if (!gather()) return settle();
      continue;
    }
    if (now - last_work_ >= kPatience) return settle();
  }
  arm_stall_timer();
  if (std::exchange(work_posted_, true)) return;
  plane_readable_.reset();  // listened to, every single packet has the kernel call for us
  loop_.post([this] {  // other events in between
    work_posted_ = false;
    work();
  });
}

// Lets the containers have the core until one answers; not by way of the event loop, where more packets would keep
// the core from them. Once in vain, and it is not tried again before there are answers.
bool ForwarderService::await_answers() {
  std::array<pollfd, 8> waiting{};
  std::array<ring::RingProducer*, 8> rings{};
  std::size_t n = 0;
  bool ready = false;
  for (auto& [id, container] : containers_) {
    if (container.ring == nullptr || container.ring->in_container() == 0 || n == waiting.size()) continue;
    ready |= !container.ring->prepare_wait();
    waiting[n] = {container.ring->forwarder_event_fd(), POLLIN, 0};
    rings[n++] = container.ring;
  }
  const timespec limit{0, std::chrono::nanoseconds(kAnswerWait).count()};
  patient_ = ready || ::ppoll(waiting.data(), n, &limit, nullptr) > 0;
  for (std::size_t i = 0; i < n; ++i) rings[i]->end_wait();
  return patient_;
}

// Under load packets are let gather for a while rather than taken as soon as there are some: larger batches, fewer
// changes between the kernel's receive work, this process and the containers; and the receive work has the core
// meanwhile, whatever this process's priority. False if there is no load.
bool ForwarderService::gather() {
  if (last_batch_ < kLoad || options_.gather == Duration::zero()) return false;
  last_batch_ = 0;  // nothing by then: no load any more
  const timespec limit{0, options_.gather.count()};
  ::clock_nanosleep(CLOCK_MONOTONIC, 0, &limit, nullptr);
  return true;
}

// With any of the containers that it waits for.
bool ForwarderService::shares_core() const {
  return std::ranges::any_of(containers_, [](const auto& entry) {
    const ring::RingProducer* ring = entry.second.ring;
    return ring != nullptr && ring->in_container() > 0 && ring->shares_core();
  });
}

void ForwarderService::settle() {
  listen_to_plane();
  for (int i = 0; i < kRounds; ++i) {
    if (core_.poll(sys::now()) > 0) continue;
    bool idle = true;
    for (auto& [id, container] : containers_)
      if (container.ring != nullptr && !container.ring->prepare_wait()) idle = false;
    if (idle) return arm_stall_timer();
  }
  arm_stall_timer();
  if (std::exchange(settle_posted_, true)) return;
  loop_.post([this] {  // containers keep coming with more: let other events in between
    settle_posted_ = false;
    settle();
  });
}

void ForwarderService::arm_stall_timer() {
  auto due = core_.next_deadline();
  if (!due || stall_timer_) return;
  stall_timer_ = loop_.at(std::max(*due, sys::now() + kStallRecheck), [this] {
    stall_timer_.reset();
    TimePoint now = sys::now();
    core_.poll(now);
    core_.check_stalls(now);
    settle();
  });
}

void ForwarderService::on_stalled(ContainerId id, std::uint32_t in_flight) {
  log_warning(kSubject, "{} does not answer; {} packets passed on, later ones pass by", name_of(id), in_flight);
  send(ipc::ContainerStalled{id, in_flight});
}
void ForwarderService::on_resumed(ContainerId id) {
  log_info(kSubject, "{} answers again", name_of(id));
  send(ipc::ContainerResumed{id});
}
void ForwarderService::on_corrupted(ContainerId id, std::string_view reason) {
  log_error(kSubject, "{} cut off: {}", name_of(id), reason);
  send(ipc::RingCorrupted{id, std::string(reason)});
  loop_.post([this, id] {  // it shall not wake us any more
    auto found = containers_.find(id);
    if (found != containers_.end() && !core_.has_port(id)) found->second.wake.reset();
  });
}

}  // namespace netserv::daemons
