#include "sys/acceptor.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace netserv::sys {
namespace {

struct AcceptorTest : ::testing::Test {
  void SetUp() override {
    char name[] = "/tmp/acceptorXXXXXX";
    folder = ::mkdtemp(name);
    path = folder + "/s";
    acceptor = std::make_unique<Acceptor>(loop, *listen_seqpacket(path, 0600), [&](UniqueFd fd, const PeerCredentials& p) {
      peer = p;
      taken.push_back(std::move(fd));
      loop.stop();
    });
  }
  void TearDown() override {
    ::unlink(path.c_str());
    ::rmdir(folder.c_str());
  }
  EventLoop loop;
  std::string folder, path;
  PeerCredentials peer;
  std::vector<UniqueFd> taken;
  std::unique_ptr<Acceptor> acceptor;
};

TEST_F(AcceptorTest, TakesConnectionsAndKnowsWhoTheyAre) {
  auto client = connect_seqpacket(path);
  ASSERT_TRUE(client);
  loop.run();
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(peer.uid, ::geteuid());
  EXPECT_EQ(peer.pid, ::getpid());
}

TEST_F(AcceptorTest, WithNoDescriptorLeftConnectionsAreTurnedAway) {
  auto client = connect_seqpacket(path);
  ASSERT_TRUE(client);
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit few{64, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &few);
  std::vector<UniqueFd> all;
  for (UniqueFd fd(::dup(0)); fd; fd = UniqueFd(::dup(0))) all.push_back(std::move(fd));
  Result<UniqueFd> next = UniqueFd();
  bool turned_away = false;
  EventHandle closed = loop.on_io(client->get(), EPOLLIN, [&](std::uint32_t) {  // instead of waiting for ever
    char byte;
    turned_away = ::read(client->get(), &byte, 1) <= 0 && taken.empty();
    closed.reset();
    all.clear();
    ::setrlimit(RLIMIT_NOFILE, &before);
    next = connect_seqpacket(path);
  });
  loop.run();  // until the next one is taken
  EXPECT_TRUE(turned_away);
  EXPECT_EQ(taken.size(), 1u);
}

}  // namespace
}  // namespace netserv::sys
