#include "sys/inbox.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace netserv::sys {
namespace {

TEST(Inbox, RunsWhatSeveralThreadsPostInEachOnesOrder) {
  constexpr int kThreads = 3, kEach = 2000;
  EventLoop loop;
  Inbox inbox(loop);
  std::vector<int> next(kThreads);  // of the loop's thread alone
  int done = 0, out_of_order = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i)
        inbox.post([&, t, i] {
          out_of_order += next[t]++ != i;
          if (++done == kThreads * kEach) loop.stop();
        });
    });
  loop.run();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(done, kThreads * kEach);
  EXPECT_EQ(out_of_order, 0);
}

TEST(Inbox, TwoLoopsTalkToEachOther) {
  EventLoop here, there;
  Inbox to_here(here), to_there(there);
  std::thread thread([&] { there.run(); });
  int rounds = 0;
  std::function<void()> serve = [&] {
    if (++rounds == 1000) {
      to_there.post([&] { there.stop(); });
      return here.stop();
    }
    to_there.post([&] { to_here.post(serve); });
  };
  to_here.post(serve);
  here.run();
  thread.join();
  EXPECT_EQ(rounds, 1000);
}

}  // namespace
}  // namespace netserv::sys
