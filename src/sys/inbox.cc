#include "sys/inbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "base/result.h"

namespace netserv::sys {

Inbox::Inbox(EventLoop& loop) : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  NETSERV_CHECK(static_cast<bool>(event_));
  readable_ = loop.on_io(event_.get(), EPOLLIN, [this](std::uint32_t) { run(); });
}

void Inbox::post(std::function<void()> function) {
  {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(function));
    if (posted_.size() > 1) return;  // the loop is woken already
  }
  std::uint64_t one = 1;
  [[maybe_unused]] ssize_t written = ::write(event_.get(), &one, sizeof one);
}

void Inbox::run() {
  std::uint64_t count = 0;
  [[maybe_unused]] ssize_t got = ::read(event_.get(), &count, sizeof count);
  std::vector<std::function<void()>> batch;
  {
    std::lock_guard lock(mutex_);
    batch.swap(posted_);
  }
  for (auto& function : batch) function();
}

}  // namespace netserv::sys
