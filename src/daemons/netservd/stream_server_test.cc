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

}  // namespace
}  // namespace netserv::daemon
