#include "cli/path_request.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/exit_codes.h"
#include "wire/ncm/status.h"

namespace netserv::cli {
namespace {

client::NodeAnswer node(std::string name, ncm::StatusCode code, std::string state = "", unsigned rtt = 1500) {
  ncm::Response r;
  r.code = code;
  r.object = "m_1";
  r.text = "said";
  r.state = std::move(state);
  return {nslp::to_entry(r, std::move(name), IpAddress::v4(0x0a000001)), nslp::Microseconds(rtt)};
}

TEST(PathRequest, ExitCodesSayHowManyDidIt) {
  using ncm::StatusCode;
  EXPECT_EQ(exit_code_of(client::PathAnswer{}), kExitUnavailable);
  EXPECT_EQ(exit_code_of({{node("a", StatusCode::kNotSelected)}}), kExitUnavailable);
  EXPECT_EQ(exit_code_of({{node("a", StatusCode::kActive), node("b", StatusCode::kNotSelected)}}), kExitOk);
  EXPECT_EQ(exit_code_of({{node("a", StatusCode::kActive), node("b", StatusCode::kOverloaded)}}), kExitPartly);
  EXPECT_EQ(exit_code_of({{node("a", StatusCode::kBadSignature)}}), kExitRefused);
  EXPECT_EQ(exit_code_of({{node("a", StatusCode::kOverloaded)}}), kExitFailed);
  EXPECT_EQ(exit_code_of({{node("unknown", StatusCode::kNoAnswer)}}), kExitTimeout);
  EXPECT_EQ(exit_code_of({{node("a", StatusCode::kActive, "FAILED")}}), kExitFailed);
}

TEST(PathRequest, TableHasALineForEachNode) {
  client::PathAnswer a{{node("near", ncm::StatusCode::kActive, "ACTIVE"), node("far", ncm::StatusCode::kBadSignature)}};
  EXPECT_EQ(path_table(a),
            "NODE  ADDRESS   RTT-MS  CODE  STATE   ANSWER\n"
            "near  10.0.0.1  1.5     201   ACTIVE  said\n"
            "far   10.0.0.1  1.5     503   -       m_1: said\n");
}

TEST(PathRequest, TableShowsWhatDidNotAnswer) {
  client::NodeAnswer lost = node("unknown", ncm::StatusCode::kNoAnswer);
  lost.entry.address = {};
  lost.entry.object = "-";
  EXPECT_EQ(path_table({{lost}}),
            "NODE     ADDRESS  RTT-MS  CODE  STATE  ANSWER\n"
            "unknown  -        -       600   -      said\n");
}

TEST(PathRequest, Json) {
  client::PathAnswer a{{node("near", ncm::StatusCode::kOk, "ACTIVE")}};
  a.nodes[0].entry.body = "{\"x\":1}";
  const auto value = nlohmann::json::parse(path_json(a, {IpAddress::v4(1), IpAddress::v4(2)}));
  EXPECT_EQ(value["outcome"], "all");
  EXPECT_EQ(value["nodes"][0]["node"], "near");
  EXPECT_EQ(value["nodes"][0]["rtt_ms"], 1.5);
  EXPECT_EQ(value["nodes"][0]["body"]["x"], 1);
}

}  // namespace
}  // namespace netserv::cli
