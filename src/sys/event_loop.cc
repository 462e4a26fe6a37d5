#include "sys/event_loop.h"

#include <signal.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include <deque>

#include "sys/clock.h"

namespace netserv::sys {
namespace {

// Owns the sd-event source and the callback. A callback may destroy its own handle, so the dispatchers below
// run a copy of it.
struct Source : EventSource {
  ~Source() override {
    if (source != nullptr) {
      sd_event_source_set_enabled(source, SD_EVENT_OFF);
      sd_event_source_unref(source);
    }
  }
  sd_event_source* source = nullptr;
  std::function<void(std::uint32_t)> io;
  std::function<void()> plain;
  std::function<void(int)> child;
  Duration interval{};
};

Source& self(void* data) { return *static_cast<Source*>(data); }

std::uint64_t to_usec(TimePoint t) {
  auto us = std::chrono::ceil<std::chrono::microseconds>(t.time_since_epoch()).count();
  return us > 0 ? static_cast<std::uint64_t>(us) : 0;
}

int on_io_ready(sd_event_source*, int, std::uint32_t ready, void* data) {
  auto callback = self(data).io;
  callback(ready);
  return 0;
}
int on_plain_timer(sd_event_source*, std::uint64_t, void* data) {
  auto callback = self(data).plain;
  callback();
  return 0;
}
int on_repeating_timer(sd_event_source* source, std::uint64_t, void* data) {
  auto callback = self(data).plain;
  sd_event_source_set_time(source, to_usec(now() + self(data).interval));
  sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
  callback();
  return 0;
}
int on_signal_ready(sd_event_source*, const signalfd_siginfo*, void* data) {
  auto callback = self(data).plain;
  callback();
  return 0;
}
int on_child_ready(sd_event_source*, const siginfo_t* info, void* data) {
  auto callback = self(data).child;
  int status = info->si_code == CLD_EXITED ? W_EXITCODE(info->si_status, 0) : W_EXITCODE(0, info->si_status);
  callback(status);
  return 0;
}

}  // namespace

struct EventLoop::Impl {
  sd_event* event = nullptr;
  sd_event_source* deferred = nullptr;
  std::deque<std::function<void()>> posted;

  static int run_posted(sd_event_source*, void* data) {
    auto& impl = *static_cast<Impl*>(data);
    std::deque<std::function<void()>> batch;
    batch.swap(impl.posted);
    for (auto& callback : batch) callback();
    if (!impl.posted.empty()) sd_event_source_set_enabled(impl.deferred, SD_EVENT_ONESHOT);
    return 0;
  }
};

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {
  NETSERV_CHECK(sd_event_new(&impl_->event) >= 0);
  NETSERV_CHECK(sd_event_add_defer(impl_->event, &impl_->deferred, Impl::run_posted, impl_.get()) >= 0);
  sd_event_source_set_enabled(impl_->deferred, SD_EVENT_OFF);
}

EventLoop::~EventLoop() {
  sd_event_source_unref(impl_->deferred);
  sd_event_unref(impl_->event);
}

int EventLoop::run() { return sd_event_loop(impl_->event); }
void EventLoop::stop(int code) { sd_event_exit(impl_->event, code); }

void EventLoop::post(std::function<void()> callback) {
  impl_->posted.push_back(std::move(callback));
  sd_event_source_set_enabled(impl_->deferred, SD_EVENT_ONESHOT);
}

EventHandle EventLoop::on_io(int fd, std::uint32_t events, std::function<void(std::uint32_t)> callback) {
  auto source = std::make_unique<Source>();
  source->io = std::move(callback);
  NETSERV_CHECK(sd_event_add_io(impl_->event, &source->source, fd, events, on_io_ready, source.get()) >= 0);
  return source;
}

EventHandle EventLoop::at(TimePoint when, std::function<void()> callback) {
  auto source = std::make_unique<Source>();
  source->plain = std::move(callback);
  NETSERV_CHECK(sd_event_add_time(impl_->event, &source->source, CLOCK_MONOTONIC, to_usec(when), 1000,
                                  on_plain_timer, source.get()) >= 0);
  return source;
}

EventHandle EventLoop::after(Duration delay, std::function<void()> callback) {
  return at(now() + delay, std::move(callback));
}

EventHandle EventLoop::every(Duration interval, std::function<void()> callback) {
  auto source = std::make_unique<Source>();
  source->plain = std::move(callback);
  source->interval = interval;
  NETSERV_CHECK(sd_event_add_time(impl_->event, &source->source, CLOCK_MONOTONIC, to_usec(now() + interval), 1000,
                                  on_repeating_timer, source.get()) >= 0);
  return source;
}

EventHandle EventLoop::on_signal(int signal_number, std::function<void()> callback) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal_number);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  auto source = std::make_unique<Source>();
  source->plain = std::move(callback);
  NETSERV_CHECK(sd_event_add_signal(impl_->event, &source->source, signal_number, on_signal_ready, source.get()) >=
                0);
  return source;
}

EventHandle EventLoop::on_child_exit(pid_t pid, std::function<void(int)> callback) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, nullptr);  // sd-event insists on it
  auto source = std::make_unique<Source>();
  source->child = std::move(callback);
  NETSERV_CHECK(sd_event_add_child(impl_->event, &source->source, pid, WEXITED, on_child_ready, source.get()) >= 0);
  return source;
}

}  // namespace netserv::sys
