#include "daemons/forwarder_worker.h"

#include <poll.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <utility>

#include "plane/ring_port.h"
#include "sys/clock.h"

namespace netserv::daemons {
namespace {

constexpr Duration kPatience = std::chrono::microseconds(50);  // without work, before the loop sleeps
constexpr Duration kAnswerWait = std::chrono::microseconds(500);
constexpr std::size_t kLoad = 16;  // packets in a batch
constexpr int kFullLoad = 48;      // from here on it is worth all of gather_
constexpr auto kRest = std::chrono::microseconds(200);  // longer than a turn of an interface's NAPI
constexpr int kMostBatches = 8;  // before the loop looks at other events
constexpr auto kStallRecheck = std::chrono::milliseconds(10);
constexpr auto kLate = std::chrono::milliseconds(20);  // a timer after its time: this thread had no core

}  // namespace

ForwarderWorker::ForwarderWorker(sys::EventLoop& loop, plane::PlanePart& part, forward::ForwarderEvents& events,
                                 const forward::Limits& limits, Duration gather)
    : loop_(loop), part_(part), events_(events), core_(part, *this, limits), gather_(gather), awake_(sys::now()) {
  listen_to_plane();
  part.alive(sys::now());
  alive_timer_ = loop.every(plane::PlanePart::kAliveInterval, [this] { stay_alive(); });
}

ForwarderWorker::~ForwarderWorker() = default;

void ForwarderWorker::attach(ContainerId id, std::unique_ptr<ring::RingProducer> ring) {
  Container& container = containers_[id];
  container.wake.reset();
  container.ring = ring.get();
  container.wake = loop_.on_io(ring->forwarder_event_fd(), EPOLLIN, [this, r = ring.get()](std::uint32_t) {
    r->end_wait();
    if (!part_.polls_itself()) return settle();
    last_work_ = sys::now();
    work();
  });
  core_.attach(id, std::make_unique<plane::RingPort>(std::move(ring)), sys::now());
}

void ForwarderWorker::remove(ContainerId id) {
  containers_.erase(id);
  core_.remove(id, sys::now());
}

void ForwarderWorker::shut_down() {
  core_.set_drain(true);
  while (true) {
    auto packets = part_.receive(sys::now());
    if (packets.empty()) break;
    core_.on_packets(packets, sys::now());
  }
  part_.let_go();
  for (ContainerId id : core_.containers()) remove(id);
}

ipc::ForwarderStats ForwarderWorker::stats() {
  ipc::ForwarderStats stats;
  stats.node = core_.counters().named();
  stats.node.merge(part_.counters());
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
  return stats;
}

void ForwarderWorker::listen_to_plane() {
  const int fd = part_.fd();
  if (fd < 0 || (part_readable_ && listened_ == fd)) return;
  part_readable_ = loop_.on_io(fd, EPOLLIN, [this](std::uint32_t) { on_plane_readable(); });
  listened_ = fd;
}

void ForwarderWorker::stay_alive() {
  part_.alive(sys::now());
  if (part_readable_) listen_to_plane();  // to another descriptor, if that has changed
}

void ForwarderWorker::on_plane_readable() {
  for (auto& [id, container] : containers_)
    if (container.ring != nullptr) container.ring->clear_waiting();
  last_work_ = sys::now();
  end_wait();
  work();
}

// This thread has waited for events: with nothing in flight, for packets; else the containers were at work.
void ForwarderWorker::end_wait() {
  if (core_.in_flight() == 0) awake_ = sys::now();
}

// Takes packets and answers for as long as they come. With nothing to take it looks again for kPatience if that saves
// a wake-up: where this thread drives the interfaces itself, or a container at work on another core will answer soon.
void ForwarderWorker::work() {
  for (int i = 0; i < kMostBatches; ++i) {
    TimePoint now = sys::now();
    auto packets = part_.receive(now);
    if (!packets.empty()) {
      core_.on_packets(packets, now);
      last_batch_ = packets.size();
      rested_ = false;
    }
    std::size_t answers = core_.poll(now);
    if (answers > 0) patient_ = true;
    if (answers > 0 || !packets.empty()) last_work_ = now;
    bool waits = core_.in_flight() > 0;
    if (waits && shares_core()) {
      if (!patient_ || !await_answers()) return settle();
      continue;
    }
    if (!waits && await_packets()) continue;
    if (packets.empty() && !waits && !part_.polls_itself()) {
      if (!gather()) return settle();
      continue;
    }
    if (now - last_work_ >= kPatience) return settle();
  }
  arm_stall_timer();
  part_readable_.reset();  // listened to, every single packet has the kernel call for us
  post_work();
}

// Other events in between.
void ForwarderWorker::post_work() {
  if (std::exchange(work_posted_, true)) return;
  loop_.post([this] {
    work_posted_ = false;
    work();
  });
}

// Lets the containers have the core until one answers; not by way of the event loop, where more packets would keep
// the core from them. Once in vain, and it is not tried again before there are answers.
bool ForwarderWorker::await_answers() {
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

std::vector<ContainerId> ForwarderWorker::observers_without_room(std::size_t places) {
  std::vector<ContainerId> out;
  for (const auto& [id, container] : containers_)
    if (container.ring != nullptr && core_.copies_out(id) > 0) out.push_back(id);
  if (out.empty()) return out;  // an idle node looks often
  if (core_.poll(sys::now()) > 0) patient_ = true;
  std::erase_if(out, [&](ContainerId id) { return core_.copies_out(id) == 0 || containers_.at(id).ring->free_slots() >= places; });
  return out;
}

// Under load packets are let gather for a while rather than taken as soon as there are some: larger batches, fewer
// changes between the kernel's receive work, this thread and the containers; and the receive work has the core
// meanwhile, whatever this thread's priority. The fewer there were, the shorter: a core that has time to spare can afford
// small batches, and their packets wait less. False if there is no load.
bool ForwarderWorker::gather() {
  if (rested_ || gather_ == Duration::zero()) part_.let_go();
  rested_ = false;
  if ((last_batch_ < kLoad && !part_.holds()) || gather_ == Duration::zero()) return false;
  const int batch = static_cast<int>(std::exchange(last_batch_, 0));  // nothing by then: no load any more
  rested_ = true;
  const Duration nap = batch == 0 ? gather_ : gather_ * std::min(batch, kFullLoad) / kFullLoad;
  const timespec limit{0, nap.count()};
  const TimePoint asleep = sys::now();
  ::clock_nanosleep(CLOCK_MONOTONIC, 0, &limit, nullptr);
  const TimePoint before = std::exchange(awake_, sys::now());
  part_.worked(std::chrono::duration<double>(asleep - before) / (awake_ - before));
  return true;
}

// Under load, where packets are not let gather: the next ones are waited for here, not in the event loop.
bool ForwarderWorker::await_packets() {
  if (gather_ != Duration::zero() || std::exchange(last_batch_, 0) < kLoad) return false;
  part_readable_.reset();  // listened to, every single packet has the kernel call for us
  if (!part_.await()) return false;
  last_work_ = sys::now();
  return true;
}

// With any of the containers that it waits for.
bool ForwarderWorker::shares_core() const {
  return std::ranges::any_of(containers_, [](const auto& entry) {
    const ring::RingProducer* ring = entry.second.ring;
    return ring != nullptr && ring->in_container() > 0 && ring->shares_core();
  });
}

void ForwarderWorker::settle() {
  listen_to_plane();
  if (!part_.arm()) return post_work();
  if (part_.holds() && !rest_timer_) {
    rested_ = true;
    rest_timer_ = loop_.at(sys::now() + kRest, [this] {
      rest_timer_.reset();
      if (rested_) part_.let_go();
      end_wait();
      work();
    });
  }
  for (int i = 0; i < kMostBatches; ++i) {
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

void ForwarderWorker::arm_stall_timer() {
  auto due = core_.next_deadline();
  if (!due) gave_time_ = false;
  if (!due || stall_timer_) return;
  TimePoint at = std::max(*due, sys::now() + kStallRecheck);
  stall_timer_ = loop_.at(at, [this, at] {
    stall_timer_.reset();
    TimePoint now = sys::now();
    core_.poll(now);
    // What took the core from this thread may have taken it from the containers. Only once: no packet waits long.
    gave_time_ = now - at > kLate && !gave_time_;
    if (gave_time_) core_.give_time(now);
    else core_.check_stalls(now);
    settle();
  });
}

void ForwarderWorker::on_corrupted(ContainerId id, std::string_view reason) {
  events_.on_corrupted(id, reason);
  loop_.post([this, id] {  // it shall not wake us any more
    auto found = containers_.find(id);
    if (found != containers_.end() && !core_.has_port(id)) found->second.wake.reset();
  });
}

}  // namespace netserv::daemons
