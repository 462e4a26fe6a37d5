#include "fetch/notify_queue.h"

#include <gtest/gtest.h>

namespace netserv::fetch {
namespace {

constexpr TimePoint kStart{std::chrono::hours(1)};

TEST(NotifyQueue, PostsInOrderAndForgetsWhatWasPosted) {
  NotifyQueue queue;
  EXPECT_FALSE(queue.due());
  queue.push("{\"a\":1}");
  queue.push("{\"a\":2}");
  EXPECT_EQ(queue.due(), TimePoint{}) << "at once";
  EXPECT_EQ(queue.post(), "{\"a\":1}\n{\"a\":2}\n");
  queue.posted();
  EXPECT_TRUE(queue.empty());
}

TEST(NotifyQueue, BacksOffAndStartsAfreshAfterASuccess) {
  NotifyQueue queue;
  queue.push("{}");
  for (int seconds : {1, 2, 4, 8}) {
    queue.failed(kStart);
    EXPECT_EQ(queue.due(), kStart + std::chrono::seconds(seconds));
  }
  for (int i = 0; i < 20; ++i) queue.failed(kStart);
  EXPECT_EQ(queue.due(), kStart + NotifyQueue::kLastBackOff);
  queue.posted();
  queue.push("{}");
  EXPECT_EQ(queue.due(), TimePoint{});
}

TEST(NotifyQueue, LosesTheOldestAndSaysHowMany) {
  NotifyQueue queue;
  for (std::size_t i = 0; i < NotifyQueue::kMaxEvents + 3; ++i) queue.push("{\"n\":" + std::to_string(i) + "}");
  queue.push(std::string(NotifyQueue::kMaxEventBytes + 1, 'x'));
  EXPECT_EQ(queue.dropped(), 4u);
  std::string body = queue.post();
  EXPECT_EQ(body.substr(0, body.find('\n')), "{\"event\":\"dropped\",\"count\":4}");
  EXPECT_NE(body.find("{\"n\":3}"), std::string::npos);
  EXPECT_EQ(body.find("{\"n\":2}"), std::string::npos);
  queue.posted();
  EXPECT_EQ(queue.post().find("dropped"), std::string::npos) << "told once";
}

}  // namespace
}  // namespace netserv::fetch
