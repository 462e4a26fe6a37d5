#include "daemons/netservd/refusal_log.h"

#include <gtest/gtest.h>

namespace netserv::daemon {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RefusalLog, AFloodIsToldInPartAndCounted) {
  RefusalLog log;
  const PublisherId alice{"alice"}, stranger;
  TimePoint now{seconds(100)};
  int told = 0;
  for (int n = 0; n < 1000; ++n) told += log.admit(alice, now);
  EXPECT_EQ(told, 10);
  EXPECT_TRUE(log.admit(stranger, now)) << "another's account";
  EXPECT_TRUE(log.suppressed(now + milliseconds(999)).empty());
  const auto expected = std::vector<std::pair<PublisherId, std::uint64_t>>{{alice, 990}};
  EXPECT_EQ(log.suppressed(now + seconds(1)), expected);
  EXPECT_TRUE(log.suppressed(now + seconds(20)).empty()) << "told once";
  EXPECT_TRUE(log.admit(alice, now + seconds(20)));
}

}  // namespace
}  // namespace netserv::daemon
