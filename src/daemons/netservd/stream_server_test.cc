#include "daemons/netservd/stream_server.h"

#include <gtest/gtest.h>

namespace netserv::daemon {
namespace {

TEST(MayConnect, RootAndNetservdsOwnUserAlways) {
  SocketFile file{0600, 990, 990};
  EXPECT_TRUE(may_connect(file, 0, {}));
  EXPECT_TRUE(may_connect(file, 990, {}));
  EXPECT_FALSE(may_connect(file, 1000, {990})) << "the group has no rights";
}

TEST(MayConnect, TheFilesGroupWhereItsModeSaysSo) {
  SocketFile file{0660, 0, 990};
  EXPECT_TRUE(may_connect(file, 1000, {100, 990}));
  EXPECT_FALSE(may_connect(file, 1000, {100}));
  EXPECT_TRUE(may_connect({0666, 0, 990}, 1000, {}));
}

TEST(WhomToDrop, TheLongestIdleOfWhoHasMost) {
  const std::vector<Guest> guests = {{1, 100, 9, false}, {2, 200, 1, false}, {3, 100, 5, false}, {4, 100, 4, true}};
  EXPECT_EQ(whom_to_drop(guests, 300), 3u) << "not 2, though idle longer: user 100 has more; not 4, which is owed an answer";
  EXPECT_EQ(whom_to_drop(guests, 100), 3u);
}

TEST(WhomToDrop, NobodyGoesForOneWhoHasMore) {
  EXPECT_EQ(whom_to_drop({{1, 100, 1, false}, {2, 200, 2, true}, {3, 200, 3, false}}, 200), 3u);
  EXPECT_EQ(whom_to_drop({{1, 100, 1, false}, {2, 200, 2, true}}, 100), 1u);
  EXPECT_EQ(whom_to_drop({{1, 100, 1, true}, {2, 100, 2, true}}, 200), std::nullopt) << "all are owed something";
}

}  // namespace
}  // namespace netserv::daemon
