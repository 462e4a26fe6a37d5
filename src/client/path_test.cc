// libnetserv against an nslpd that the test plays.
#include "client/path.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <cstdlib>
#include <thread>

#include "auth/authenticator.h"
#include "client/requests.h"
#include "wire/ncm/status.h"

namespace netserv::client {
namespace {

nslp::Entry entry(std::string node, ncm::StatusCode code, std::string state = "") {
  ncm::Response r;
  r.code = code;
  r.state = std::move(state);
  return nslp::to_entry(r, std::move(node), IpAddress::v4(0x0a000001));
}

// One connection, one reply for each request, in turn.
class PathClientTest : public ::testing::Test {
 protected:
  PathClientTest() {
    char name[] = "/tmp/netserv-client-XXXXXX";
    folder_ = ::mkdtemp(name);
    listener_ = *sys::listen_seqpacket(folder_ + "/s", 0600);
  }
  ~PathClientTest() override {
    if (server_.joinable()) server_.join();
    ::unlink((folder_ + "/s").c_str());
    ::rmdir(folder_.c_str());
  }
  void serve(std::vector<std::function<nslp::ClientReply(const nslp::SendAlongPath&)>> replies) {
    server_ = std::thread([this, replies = std::move(replies)] {
      pollfd p{listener_.get(), POLLIN, 0};
      ::poll(&p, 1, 10000);
      auto fd = sys::accept_connection(listener_.get());
      if (!fd || !*fd) return;
      sys::Channel channel(*std::move(fd));
      for (const auto& reply : replies) {
        pollfd c{channel.fd(), POLLIN, 0};
        sys::Datagram packet;
        if (::poll(&c, 1, 10000) != 1 || *channel.receive(packet, 65536) != sys::Channel::Received::kMessage) return;
        seen.push_back(std::get<nslp::SendAlongPath>(*ipc::decode<nslp::ClientRequest>(packet.bytes)));
        ASSERT_TRUE(channel.send(ipc::encode(reply(seen.back()))));
      }
    });
  }
  static nslp::PathAnswer stack(const nslp::SendAlongPath& r, std::vector<nslp::Entry> entries) {
    return {r.ticket, 9000, *nslp::encode(nslp::Response{1, std::move(entries), {}})};
  }
  Path open() { return *Path::open(folder_ + "/s", {*IpAddress::parse("192.0.2.1"), *IpAddress::parse("198.51.100.7")}); }

  std::string folder_;
  sys::UniqueFd listener_;
  std::thread server_;
  std::vector<nslp::SendAlongPath> seen;
};

TEST_F(PathClientTest, SetupIsSignedForThePathAndAnswersComeInOrder) {
  serve({[](const auto& r) {
    nslp::Entry near = entry("a", ncm::StatusCode::kActive, "ACTIVE"), far = entry("b", ncm::StatusCode::kFilterNotAllowed);
    near.residence = nslp::Microseconds(5000);
    near.wait = nslp::Microseconds(3000);
    far.residence = nslp::Microseconds(1000);
    return stack(r, {near, far});
  }});
  Path path = open();
  ncm::Setup body;
  body.module = {"m", "1"};
  body.url = "http://example.com/m.wasm";
  const Publisher jane{"jane", *auth::new_private_key()};
  CallOptions options;
  options.nodes = "first=2";
  auto answer = setup(path, body, jane, options);
  ASSERT_TRUE(answer) << answer.error().message();
  ASSERT_EQ(answer->nodes.size(), 2u);
  EXPECT_EQ(answer->nodes[0].round_trip.count(), 4000u);
  EXPECT_EQ(answer->nodes[1].round_trip.count(), 6000u);
  EXPECT_EQ(answer->outcome(), Outcome::kSome);
  server_.join();
  auto sent = ncm::parse_message(seen.at(0).ncm);
  ASSERT_TRUE(sent);
  EXPECT_EQ(*sent->find("toward"), "198.51.100.7");
  EXPECT_EQ(*sent->find("nodes"), "first=2");
  EXPECT_TRUE(auth::verify(auth::public_key_of(jane.key), ncm::signed_text(*sent), *sent->find("signature")));
}

TEST_F(PathClientTest, TriggerIsSignedForTheWayBack) {
  serve({[](const auto& r) { return stack(r, {}); }});
  Path path = open();
  CallOptions options;
  options.trigger = true;
  auto answer = remove(path, {{"m", ""}}, {"jane", *auth::new_private_key()}, options);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->outcome(), Outcome::kNoNode);
  server_.join();
  EXPECT_TRUE(seen.at(0).trigger);
  EXPECT_EQ(*ncm::parse_message(seen.at(0).ncm)->find("toward"), "192.0.2.1");
}

TEST_F(PathClientTest, FollowsInstallations) {
  serve({[](const auto& r) {
           return stack(r, {entry("a", ncm::StatusCode::kInstalling, "INSTALLING"), entry("b", ncm::StatusCode::kNotSelected),
                            entry("c", ncm::StatusCode::kInstalling, "INSTALLING")});
         },
         [](const auto& r) {
           return stack(r, {entry("a", ncm::StatusCode::kOk, "ACTIVE"), entry("b", ncm::StatusCode::kNotFound),
                            entry("c", ncm::StatusCode::kOk, "STARTING")});
         },
         [](const auto& r) {
           return stack(r, {entry("a", ncm::StatusCode::kOk, "ACTIVE"), entry("b", ncm::StatusCode::kNotFound),
                            entry("c", ncm::StatusCode::kOk, "FAILED")});
         }});
  Path path = open();
  const auto message = *ncm::parse_message("PROBE m_1 NETSERV/0.1\n\n");
  auto answer = path.send(message, false, std::chrono::seconds(5));
  ASSERT_TRUE(answer);
  EXPECT_FALSE(*follow(path, message, false, std::chrono::seconds(5), *answer));
  EXPECT_TRUE(*follow(path, message, false, std::chrono::seconds(5), *answer));
  EXPECT_EQ(answer->nodes[0].entry.code, ncm::StatusCode::kActive);
  EXPECT_EQ(answer->nodes[1].entry.code, ncm::StatusCode::kNotSelected);
  EXPECT_EQ(answer->outcome(), Outcome::kSome);
}

TEST_F(PathClientTest, RefusalsAndHangUpsAreErrors) {
  serve({[](const auto& r) -> nslp::ClientReply {
    return nslp::PathRefused{r.ticket, 526, "toward", "is not where this path leads"};
  }});
  Path path = open();
  const auto message = *ncm::parse_message("PROBE * NETSERV/0.1\n\n");
  auto refused = path.send(message, false, std::chrono::seconds(5));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, 526);
  server_.join();
  EXPECT_FALSE(path.send(message, false, std::chrono::seconds(5)));
}

TEST(Route, ThisHostsOwnAddress) {
  auto route = route_toward(*IpAddress::parse("127.0.0.1"));
  ASSERT_TRUE(route) << route.error().message();
  EXPECT_EQ(route->source, *IpAddress::parse("127.0.0.1"));
}

}  // namespace
}  // namespace netserv::client
