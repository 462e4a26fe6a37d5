#include "sys/event_loop.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/fd.h"

namespace netserv::sys {
namespace {

TEST(EventLoop, RunsIoTimersSignalsChildrenAndPosts) {
  EventLoop loop;
  std::string seen;
  int pipe_fds[2];
  ASSERT_EQ(::pipe(pipe_fds), 0);
  UniqueFd read_end(pipe_fds[0]), write_end(pipe_fds[1]);

  auto signal = loop.on_signal(SIGUSR1, [&] { seen += 's'; });
  EventHandle io;
  io = loop.on_io(read_end.get(), EPOLLIN, [&](std::uint32_t ready) {
    EXPECT_TRUE(ready & EPOLLIN);
    seen += 'i';
    io.reset();  // destroying oneself is allowed
    ::raise(SIGUSR1);
  });
  auto posted_first = [&] { seen += 'p'; };
  loop.post(posted_first);

  pid_t pid = ::fork();
  if (pid == 0) ::_exit(7);
  int ticks = 0;
  EventHandle tick, child;
  child = loop.on_child_exit(pid, [&](int status) {
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 7);
    seen += 'c';
    tick = loop.every(std::chrono::milliseconds(1), [&] {
      if (++ticks == 3) loop.stop(5);
    });
    ASSERT_EQ(::write(write_end.get(), "x", 1), 1);
  });
  EXPECT_EQ(loop.run(), 5);
  EXPECT_EQ(ticks, 3);
  for (char c : std::string("sipc")) EXPECT_NE(seen.find(c), std::string::npos) << c;
}

}  // namespace
}  // namespace netserv::sys
