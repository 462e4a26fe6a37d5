#include <gtest/gtest.h>
#include <sys/socket.h>

#include <fstream>
#include <thread>

#include "auth/authenticator.h"
#include "cli/admin_client.h"
#include "cli/exit_codes.h"
#include "cli/files.h"
#include "cli/ncm_client.h"
#include "cli/report.h"
#include "cli/request_builder.h"
#include "sys/seqpacket.h"
#include "wire/ncm/request.h"

namespace netserv::cli {
namespace {

using std::chrono::seconds;

class RequestTest : public testing::Test {
 protected:
  RequestTest() : folder_(*TemporaryFolder::make()) {
    key_file_ = folder_.path() + "/key";
    std::ofstream(key_file_) << auth::print_private_key(key_);
    options_.verb = ncm::Verb::kSetup;
    options_.object = "m_1";
    options_.headers["url"] = "http://example.com/m.wasm";
    options_.user = "jane";
    options_.key_file = key_file_;
  }
  Result<ncm::Message> build() { return build_request(options_, WallTime(seconds(1000))); }

  TemporaryFolder folder_;
  auth::PrivateKey key_ = *auth::new_private_key();
  std::string key_file_;
  RequestOptions options_;
};

TEST_F(RequestTest, SignsWhatItBuilds) {
  std::ofstream(folder_.path() + "/m.wasm") << "abc";
  options_.module_file = folder_.path() + "/m.wasm";
  options_.properties = {"a=1,2", "netserv.order=4"};
  auto m = build();
  ASSERT_TRUE(m) << m.error().message();
  auto request = ncm::parse_request(*m);
  ASSERT_TRUE(request);
  const auto& setup = std::get<ncm::Setup>(request->body);
  EXPECT_EQ(ncm::print_digest(*setup.digest), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(setup.properties.module.at("a"), "1,2");
  EXPECT_EQ(setup.properties.node.order, 4);
  EXPECT_EQ(request->signer.expires, WallTime(seconds(1300)));
  EXPECT_TRUE(auth::verify(auth::public_key_of(key_), ncm::signed_text(*m), *m->find("signature")));
  auto again = build();
  EXPECT_NE(*m->find("nonce"), *again->find("nonce"));
}

TEST_F(RequestTest, MatchingNodesAreThoseThatHaveWhatTheModuleNames) {
  const std::string manifest = R"({"name":"m","version":"1","abi":1,"kind":["packet"],"blocks":["packet/1","log/1"]})";
  const std::string section = "netserv.manifest";
  std::ofstream(folder_.path() + "/m.wasm", std::ios::binary)
      << std::string("\0asm\1\0\0\0\0", 9) << static_cast<char>(1 + section.size() + manifest.size())
      << static_cast<char>(section.size()) << section << manifest;
  options_.headers["nodes"] = "matching";
  EXPECT_EQ(build().error().subject, "--nodes");
  options_.module_file = folder_.path() + "/m.wasm";
  auto m = build();
  ASSERT_TRUE(m) << m.error().message();
  EXPECT_EQ(*m->find("dependencies"), "packet/1,log/1");
  options_.headers["dependencies"] = "udp/1";  // the publisher's own word goes before it
  EXPECT_EQ(*build()->find("dependencies"), "udp/1");
  options_.headers["nodes"] = "last", options_.headers["dependencies"] = "";
  EXPECT_FALSE(build()->find("dependencies"));
}

TEST_F(RequestTest, StartsFromAFileAndKeepsItsSignature) {
  std::string path = folder_.path() + "/message";
  std::ofstream(path) << "SETUP x_2 NETSERV/0.1\nurl: http://x/\nuser:joe\nsignature:abc";
  RequestOptions from_file;
  from_file.verb = ncm::Verb::kSetup;
  from_file.file = path;
  auto m = build_request(from_file, WallTime());
  ASSERT_TRUE(m) << m.error().message();
  EXPECT_EQ(*m->find("signature"), "abc");
  EXPECT_EQ(m->object, "x_2");
  from_file.verb = ncm::Verb::kRemove;
  EXPECT_EQ(exit_code_of(build_request(from_file, WallTime()).error()), kExitUsage);
}

TEST_F(RequestTest, ErrorsNameWhatToMend) {
  options_.headers["ttl"] = "soon";
  EXPECT_EQ(build().error().subject, "ttl");
  options_.headers["ttl"] = "5\nuser:evil";
  EXPECT_FALSE(build());
  options_.headers["ttl"] = "";
  options_.key_file = "";
  EXPECT_EQ(build().error().subject, "--key");
  options_.key_file = folder_.path() + "/absent";
  EXPECT_FALSE(build());
  options_.key_file = key_file_;
  options_.properties = {"novalue"};
  EXPECT_EQ(build().error().subject, "--property");
}

TEST_F(RequestTest, UnsignedProbesNeedNoKey) {
  RequestOptions probe;
  probe.object = "*";
  probe.headers["probe"] = "capabilities";
  auto m = build_request(probe, WallTime());
  ASSERT_TRUE(m) << m.error().message();
  EXPECT_FALSE(m->find("signature"));
}

// A node that answers each connection's input with `answer`, once.
class OneAnswer {
 public:
  OneAnswer(const std::string& path, std::string answer) : listener_(*sys::listen_stream(path, 0600)) {
    thread_ = std::thread([this, answer = std::move(answer)] {
      sys::UniqueFd peer;
      while (!peer) peer = std::move(*sys::accept_connection(listener_.get()));
      char buffer[4096];
      while (::recv(peer.get(), buffer, sizeof buffer, 0) < 0) std::this_thread::yield();
      (void)!::write(peer.get(), answer.data(), answer.size());
    });
  }
  ~OneAnswer() { thread_.join(); }

 private:
  sys::UniqueFd listener_;
  std::thread thread_;
};

TEST_F(RequestTest, ClientReadsAnAnswer) {
  std::string path = folder_.path() + "/s";
  OneAnswer node(path, "NETSERV/0.1 2 201 m_1 active\nid:m_1\nstate:ACTIVE\n\n");
  auto client = NcmClient::connect(path, seconds(20));
  ASSERT_TRUE(client) << client.error().message();
  auto response = client->exchange(*build());
  ASSERT_TRUE(response) << response.error().message();
  EXPECT_EQ(response->code, ncm::StatusCode::kActive);
  EXPECT_EQ(exit_code_of(*response), kExitOk);
}

TEST_F(RequestTest, ClientNamesWhatIsMissing) {
  auto absent = NcmClient::connect(folder_.path() + "/none", seconds(1));
  ASSERT_FALSE(absent);
  EXPECT_EQ(exit_code_of(absent.error()), kExitUnavailable);
  std::string path = folder_.path() + "/s";
  OneAnswer node(path, "NETSERV/0.1 2 2");
  auto cut = NcmClient::connect(path, seconds(20))->exchange(*build());
  ASSERT_FALSE(cut);
  EXPECT_EQ(exit_code_of(cut.error()), kExitUnavailable);
}

TEST_F(RequestTest, AdminClientReadsEventsThenTheResult) {
  std::string path = folder_.path() + "/a";
  OneAnswer node(path, "{\"event\":{\"kind\":\"active\"}}\n{\"ok\":true,\"result\":{\"n\":1}}\n");
  auto client = AdminClient::connect(path);
  ASSERT_TRUE(client);
  int events = 0;
  auto result = client->ask({{"verb", "events"}}, false, [&](const auto&) { ++events; });
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(events, 1);
  EXPECT_EQ((*result)["n"], 1);
}

TEST_F(RequestTest, AdminClientReportsARefusal) {
  std::string path = folder_.path() + "/a";
  OneAnswer node(path, "{\"error\":{\"subject\":\"publisher\",\"text\":\"unknown\",\"code\":500}}\n");
  auto client = AdminClient::connect(path);
  auto result = client->ask({{"verb", "disable"}}, false, [](const auto&) {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message(), "publisher: unknown");
  EXPECT_EQ(exit_code_of(result.error()), kExitRefused);
}

TEST(Polling, EndsWhenTheStateIsFinal) {
  std::vector<std::string> states{"INSTALLING", "STARTING", "ACTIVE"};
  std::size_t at = 0, pauses = 0, seen = 0;
  auto probe = [&]() -> Result<ncm::Response> {
    ncm::Response r;
    r.state = states[at++];
    return r;
  };
  auto final = poll_until_final(probe, 10, [&](const auto&) { ++seen; }, [&] { ++pauses; });
  ASSERT_TRUE(final);
  EXPECT_EQ(final->state, "ACTIVE");
  EXPECT_EQ(seen, 3u);
  EXPECT_EQ(pauses, 3u);
  states.assign(5, "INSTALLING");
  at = 0;
  auto late = poll_until_final(probe, 5, [](const auto&) {}, [] {});
  ASSERT_FALSE(late);
  EXPECT_EQ(exit_code_of(late.error()), kExitTimeout);
}

TEST(Report, AFailedModuleIsToldWithItsOwnCode) {
  ncm::Response r;
  r.code = ncm::StatusCode::kOk;
  r.object = "m_1";
  r.state = "FAILED";
  r.text = "url: not found";
  r.body = R"({"modules":[{"id":"m_1","state":"FAILED","code":403}]})";
  EXPECT_EQ(describe_failure(r), "m_1: url: not found (transient failure 403)");
  r.body = "";
  EXPECT_EQ(describe_failure(r), "m_1: url: not found");
}

TEST(Report, ExitCodes) {
  ncm::Response r;
  r.state = "FAILED";
  EXPECT_EQ(exit_code_of(r), kExitFailed);
  r = {};
  r.code = ncm::StatusCode::kBusy;
  EXPECT_EQ(exit_code_of(r), kExitFailed);
  r.code = ncm::StatusCode::kBadSignature;
  EXPECT_EQ(exit_code_of(r), kExitRefused);
}

TEST(Report, StatesAreSaidOnceAndCountersThatHaveCounted) {
  ncm::Response r;
  r.state = r.text = "ACTIVE";
  EXPECT_EQ(state_and_text(r), "ACTIVE");
  r.text = "accepted";
  EXPECT_EQ(state_and_text(r), "ACTIVE accepted");
  EXPECT_EQ(describe_value({{"counters", {{"a", 0}, {"b", 2}, {"c", 1}}}}), "counters  b=2, c=1\n");
}

TEST(Report, OtherPeoplesTextMovesNoCursor) {
  EXPECT_EQ(printable("a\x1b[2Jb\x7f\r\n"), "a [2Jb   ");
  EXPECT_EQ(printable("\xc2\x9b[2J \xc3\xa9 \xc2"), "  [2J \xc3\xa9 \xc2");  // C1 is blanked, other UTF-8 stays
  const std::string text = describe_value({{"na\x1bme", {{{"k\x1b", "v\x1b"}}}}});
  EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
}

}  // namespace
}  // namespace netserv::cli
