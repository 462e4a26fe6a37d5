#include "daemons/forwarder_crew.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>

#include <string>
#include <utility>

namespace netserv::daemons {
namespace {

Status pin(pthread_t thread, unsigned core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (core < CPU_SETSIZE) CPU_SET(core, &set);
  int error = ::pthread_setaffinity_np(thread, sizeof set, &set);
  if (error != 0) return fail_errno("worker", fmt::format("it can't have core {}", core), error);
  return {};
}

}  // namespace

struct ForwarderCrew::Member final : forward::ForwarderEvents {
  Member(ForwarderCrew& its_crew, std::size_t its_number) : crew(its_crew), number(its_number) {}

  ForwarderCrew& crew;
  const std::size_t number;
  std::unique_ptr<sys::EventLoop> loop;  // none: the first one's is the main thread's
  std::unique_ptr<sys::Inbox> inbox;
  std::unique_ptr<ForwarderWorker> worker;
  std::thread thread;

  void say(std::function<void(WorkerEvents&)> what) {
    if (!loop) return what(crew.events_);
    crew.inbox_.post([&events = crew.events_, what = std::move(what)] { what(events); });
  }
  void on_stalled(ContainerId id, std::uint32_t in_flight) override {
    say([n = number, id, in_flight](WorkerEvents& events) { events.on_stalled(n, id, in_flight); });
  }
  void on_resumed(ContainerId id) override {
    say([n = number, id](WorkerEvents& events) { events.on_resumed(n, id); });
  }
  void on_corrupted(ContainerId id, std::string_view reason) override {
    say([id, reason = std::string(reason)](WorkerEvents& events) { events.on_corrupted(id, reason); });
  }
};

ForwarderCrew::ForwarderCrew(sys::EventLoop& loop, WorkerEvents& events) : events_(events), inbox_(loop) {}

ForwarderWorker& ForwarderCrew::first() { return *members_.front()->worker; }

Result<std::unique_ptr<ForwarderCrew>> ForwarderCrew::start(sys::EventLoop& loop, plane::LivePlane& plane,
                                                            WorkerEvents& events, const CrewOptions& options) {
  std::unique_ptr<ForwarderCrew> crew(new ForwarderCrew(loop, events));
  for (std::size_t i = 0; i < plane.parts(); ++i) {
    auto member = std::make_unique<Member>(*crew, i);
    if (i > 0) {
      member->loop = std::make_unique<sys::EventLoop>();
      member->inbox = std::make_unique<sys::Inbox>(*member->loop);
    }
    member->worker = std::make_unique<ForwarderWorker>(i == 0 ? loop : *member->loop, plane.part(i), *member, options.limits, options.gather);
    crew->members_.push_back(std::move(member));
  }
  for (auto& member : crew->members_) {
    if (member->loop) member->thread = std::thread([own = member->loop.get()] { own->run(); });
    pthread_t thread = member->loop ? member->thread.native_handle() : ::pthread_self();
    if (member->loop) ::pthread_setname_np(thread, fmt::format("worker-{}", member->number).c_str());
    if (!options.cores.empty()) NETSERV_TRY(pin(thread, options.cores.at(member->number)));
  }
  return crew;
}

ForwarderCrew::~ForwarderCrew() { shut_down(); }

void ForwarderCrew::on_each(const Each& each, std::function<void()> then) {
  each(0, first());
  on_others(each, std::move(then));
}

void ForwarderCrew::on_others(const Each& each, std::function<void()> then) {
  if (members_.size() == 1) return then();
  auto left = std::make_shared<std::size_t>(members_.size() - 1);  // the main thread's
  for (auto& member : members_) {
    if (!member->loop) continue;
    member->inbox->post([this, &m = *member, each, then, left] {
      each(m.number, *m.worker);
      m.worker->settle();
      inbox_.post([then, left] {
        if (--*left == 0) then();
      });
    });
  }
}

void ForwarderCrew::shut_down() {
  if (std::exchange(ended_, true)) return;
  for (auto& member : members_) {
    if (!member->loop || !member->thread.joinable()) continue;
    member->inbox->post([&m = *member] {
      m.worker->shut_down();
      m.loop->stop();
    });
  }
  first().shut_down();
  for (auto& member : members_)
    if (member->thread.joinable()) member->thread.join();
}

}  // namespace netserv::daemons
