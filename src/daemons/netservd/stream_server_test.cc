#include "daemons/netservd/stream_server.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <filesystem>

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

TEST(StreamServer, WhoHasClosedItsSendingSideStillGetsItsAnswer) {
  char folder[] = "/tmp/netserv-stream.XXXXXX";
  ASSERT_NE(::mkdtemp(folder), nullptr);
  const std::string path = std::string(folder) + "/s";
  sys::EventLoop loop;
  std::unique_ptr<StreamServer> server;
  bool owed = false;
  StreamServer::Handler handler;
  handler.opened = [](ClientId) {};
  handler.received = [&](ClientId, std::string_view) { owed = true; };
  handler.closed = [&](ClientId) { loop.stop(); };
  handler.waits = [&](ClientId id) {  // asked at the end of what the client sends
    if (owed)
      loop.post([&, id] {
        owed = false;
        server->write(id, "answer");
      });
    return owed;
  };
  server = std::move(*StreamServer::listen(loop, path, 0600, std::move(handler)));
  sys::UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  path.copy(to.sun_path, sizeof to.sun_path - 1);
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  ASSERT_EQ(::send(client.get(), "ask", 3, 0), 3);
  ::shutdown(client.get(), SHUT_WR);
  loop.run();
  char got[16];
  ASSERT_EQ(::recv(client.get(), got, sizeof got, 0), 6);
  EXPECT_EQ(std::string(got, 6), "answer");
  EXPECT_EQ(::recv(client.get(), got, sizeof got, 0), 0);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace netserv::daemon
