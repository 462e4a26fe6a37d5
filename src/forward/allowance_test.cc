#include "forward/allowance.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace netserv::forward {
namespace {

using std::chrono::milliseconds;

TEST(TokenBucket, GivesABurstThenTheRate) {
  TokenBucket none;
  EXPECT_FALSE(none.take(TimePoint{}));
  TokenBucket bucket;
  bucket.set_rate(1000);
  TimePoint now{milliseconds(5)};
  int got = 0;
  while (bucket.take(now)) ++got;
  EXPECT_EQ(got, 100);
  got = 0;
  for (int i = 0; i < 100; ++i) got += bucket.take(now += milliseconds(1)) ? 1 : 0;
  EXPECT_NEAR(got, 100, 1);
}

TEST(TokenBucket, GivesThePiecesThatFit) {
  TokenBucket bytes(2048);
  bytes.set_rate(1000);
  TimePoint now{milliseconds(5)};
  EXPECT_FALSE(bytes.take(now, 2049));
  EXPECT_TRUE(bytes.take(now, 2048));
  EXPECT_FALSE(bytes.take(now, 1));
  EXPECT_FALSE(bytes.take(now + milliseconds(99), 100));
  EXPECT_TRUE(bytes.take(now + milliseconds(101), 100));
}

// Clocks of several threads, never quite the same: what they get together is what one would.
TEST(TokenBucket, SeveralThreadsGetNoMoreTogether) {
  constexpr int kThreads = 4, kSteps = 20'000;
  TokenBucket bucket(32, Takers::kSeveral);
  bucket.set_rate(10'000);
  std::vector<int> got(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      TimePoint now{std::chrono::seconds(1)};
      for (int step = 0; step < kSteps; ++step, now += std::chrono::microseconds(50)) got[t] += bucket.take(now) ? 1 : 0;
    });
  for (std::thread& thread : threads) thread.join();
  int all = 0;
  for (int one : got) all += one;
  EXPECT_LE(all, 11'000);  // a second's worth, and the burst
  EXPECT_GE(all, 10'900);  // each alone asks for more
}

TEST(TokenBucket, ANewRateHoldsAtOnce) {
  TokenBucket bucket;
  bucket.set_rate(100'000);
  TimePoint now{std::chrono::seconds(1)};
  EXPECT_TRUE(bucket.take(now, 1000));
  bucket.set_rate(10);  // thirty-two at once at the most
  now += std::chrono::seconds(100);
  EXPECT_FALSE(bucket.take(now, 33));
  EXPECT_TRUE(bucket.take(now, 32));
  bucket.set_rate(0);
  EXPECT_FALSE(bucket.take(now += std::chrono::seconds(100)));
}

}  // namespace
}  // namespace netserv::forward
