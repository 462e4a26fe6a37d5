#include "sys/seqpacket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

namespace netserv::sys {
namespace {

std::pair<Channel, Channel> channel_pair() {
  int fds[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
  return {Channel(UniqueFd(fds[0])), Channel(UniqueFd(fds[1]))};
}

TEST(Channel, CarriesMessagesAndDescriptors) {
  auto [a, b] = channel_pair();
  int pipe_fds[2];
  ASSERT_EQ(::pipe(pipe_fds), 0);
  UniqueFd read_end(pipe_fds[0]), write_end(pipe_fds[1]);
  ASSERT_TRUE(a.send(as_bytes("hello"), {write_end.get()}));
  write_end.reset();

  Datagram d;
  ASSERT_EQ(*b.receive(d, 100), Channel::Received::kMessage);
  EXPECT_EQ(as_text(d.bytes), "hello");
  ASSERT_EQ(d.fds.size(), 1u);
  ASSERT_EQ(::write(d.fds[0].get(), "x", 1), 1);
  char c;
  EXPECT_EQ(::read(read_end.get(), &c, 1), 1);
  EXPECT_EQ(*b.receive(d, 100), Channel::Received::kNothing);
  a.close();
  EXPECT_EQ(*b.receive(d, 100), Channel::Received::kClosed);
}

TEST(Channel, RefusesWhatIsLongerThanTheLimitAndKeepsGoing) {
  auto [a, b] = channel_pair();
  ASSERT_TRUE(a.send(as_bytes("0123456789")));
  ASSERT_TRUE(a.send(as_bytes("ok")));
  Datagram d;
  EXPECT_FALSE(b.receive(d, 4));
  ASSERT_EQ(*b.receive(d, 4), Channel::Received::kMessage);
  EXPECT_EQ(as_text(d.bytes), "ok");
}

TEST(Sockets, ListenConnectAndKnowThePeer) {
  char folder[] = "/tmp/netserv-test-XXXXXX";
  ASSERT_NE(::mkdtemp(folder), nullptr);
  std::string path = std::string(folder) + "/s";
  auto listener = listen_seqpacket(path, 0600);
  ASSERT_TRUE(listener) << listener.error().message();
  EXPECT_FALSE(*accept_connection(listener->get()));
  auto client = connect_seqpacket(path);
  ASSERT_TRUE(client);
  auto server = accept_connection(listener->get());
  ASSERT_TRUE(server && *server);
  EXPECT_EQ(peer_credentials(server->get())->pid, ::getpid());
  EXPECT_FALSE(connect_seqpacket(std::string(200, 'x')));
  ::unlink(path.c_str());
  ::rmdir(folder);
}

TEST(Sockets, APeerThatAcceptsNobodyDoesNotHoldUs) {
  char folder[] = "/tmp/netserv-test-XXXXXX";
  ASSERT_NE(::mkdtemp(folder), nullptr);
  std::string path = std::string(folder) + "/s";
  auto listener = listen_seqpacket(path, 0600);
  ASSERT_TRUE(listener) << listener.error().message();
  std::vector<UniqueFd> waiting;
  while (waiting.size() < 1000) {
    auto client = connect_seqpacket(path);
    if (!client) break;
    waiting.push_back(*std::move(client));
  }
  EXPECT_LT(waiting.size(), 1000u);
  ::unlink(path.c_str());
  ::rmdir(folder);
}

}  // namespace
}  // namespace netserv::sys
