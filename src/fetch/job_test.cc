#include "fetch/job.h"

#include <gtest/gtest.h>

#include "wire/ncm/status.h"

namespace netserv::fetch {
namespace {

TEST(FetchJob, RoundTrips) {
  FetchJob job;
  job.url = "https://example.net/m.wasm";
  job.output = "/var/cache/netserv/x";
  job.sha256 = std::string(64, 'a');
  job.max_bytes = 77;
  job.deadline = std::chrono::milliseconds(1234);
  job.rules.allowed = {*Prefix::parse("10.0.0.0/8")};
  job.rules.own = {*Prefix::parse("192.0.2.1/32"), *Prefix::parse("2001:db8::1")};
  job.identity = {1000, 1001};
  auto back = decode_job(encode_job(job));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(*back, job);
  EXPECT_EQ(back->rules.own, job.rules.own);
}

TEST(FetchJob, RefusesWhatIsNotOne) {
  for (const char* bad : {"", "[]", "{}", R"({"url":"u"})", R"({"url":1,"output":"o"})",
                          R"({"url":"u","output":"o","max_bytes":-1})", R"({"url":"u","output":"o","own":["x"]})",
                          R"({"url":"u","output":"o","own":[7]})"})
    EXPECT_FALSE(decode_job(bad)) << bad;
}

TEST(Answer, RoundTripsBothWays) {
  Fetched fetched{12, "ab"};
  EXPECT_EQ(*decode_answer(encode_answer(fetched)), fetched);
  Error error{Origin::kPublisher, "http://x", "answered HTTP 404", number(ncm::StatusCode::kFetchFailed)};
  EXPECT_EQ(decode_answer(encode_answer(fail(error))).error(), error);
  EXPECT_EQ(decode_answer("half a li").error().subject, "download helper");
  EXPECT_EQ(decode_answer("{}").error().code, number(ncm::StatusCode::kInternal));
}

TEST(Notified, ACompromisedHelperSaysNothingThatHurts) {
  const Notified notified{3, 1, "answered HTTP 500"};
  EXPECT_EQ(*decode_notified(encode_notified(notified)), notified);
  for (const char* bad : {"", "[]", R"({"posted":"x"})", R"({"posted":{"a":1}})", R"({"dropped":-1})", R"({"error":7})"})
    EXPECT_FALSE(decode_notified(bad)) << bad;
}

TEST(Progress, IsToldFromAnswers) {
  Progress progress;
  EXPECT_TRUE(decode_progress(encode_progress(5, 10), progress));
  EXPECT_EQ(progress.bytes, 5u);
  EXPECT_EQ(progress.total, 10u);
  EXPECT_FALSE(decode_progress(encode_answer(Fetched{}), progress));
}

}  // namespace
}  // namespace netserv::fetch
