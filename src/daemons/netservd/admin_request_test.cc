#include "daemons/netservd/admin_request.h"

#include <gtest/gtest.h>

#include "wire/ncm/status.h"

namespace netserv::daemon {
namespace {

TEST(AdminRequest, ArgumentsAreReadOrHaveTheirDefaults) {
  auto r = decode_admin_request(R"({"verb":"logs","publisher":"alice","module":"a_1","follow":true,"last":3})");
  ASSERT_TRUE(r) << r.error().message();
  EXPECT_EQ(r->verb, AdminRequest::Verb::kLogs);
  EXPECT_EQ(r->publisher, "alice");
  EXPECT_EQ(r->module, "a_1");
  EXPECT_TRUE(r->follow);
  EXPECT_EQ(r->last, 3u);
  r = decode_admin_request(R"({"verb":"events","publisher":7,"follow":"yes","last":-1})");
  ASSERT_TRUE(r);
  EXPECT_TRUE(r->publisher.empty());
  EXPECT_FALSE(r->follow);
  EXPECT_EQ(r->last, 100u);
}

TEST(AdminRequest, RefusesWhatIsNone) {
  for (const char* line : {"", "[]", "{", "\"status\"", "\xff"}) {
    auto r = decode_admin_request(line);
    ASSERT_FALSE(r) << line;
    EXPECT_EQ(ncm::status_of(r.error()), ncm::StatusCode::kSyntax);
  }
  for (const char* line : {"{}", R"({"verb":"stat"})", R"({"verb":["status"]})"})
    EXPECT_EQ(ncm::status_of(decode_admin_request(line).error()), ncm::StatusCode::kUnknownVerb) << line;
}

}  // namespace
}  // namespace netserv::daemon
