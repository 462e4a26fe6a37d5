#include "wire/ncm/selection.h"

#include <gtest/gtest.h>

#include "wire/ncm/request.h"

namespace netserv::ncm {
namespace {

TEST(Selection, Words) {
  EXPECT_EQ(parse_selection("")->mode, SelectionMode::kAll);
  EXPECT_EQ(parse_selection("ALL")->mode, SelectionMode::kAll);
  EXPECT_EQ(parse_selection("last")->mode, SelectionMode::kLast);
  EXPECT_EQ(parse_selection("matching")->mode, SelectionMode::kMatching);
  EXPECT_EQ(*parse_selection("first=3"), (Selection{SelectionMode::kFirst, 3, {}}));
  EXPECT_EQ(*parse_selection("edge-1, 192.0.2.1"), (Selection{SelectionMode::kList, 0, {"edge-1", "192.0.2.1"}}));
}

TEST(Selection, Refusals) {
  for (const char* bad : {"first=", "first=0", "first=256", "first=-1", "a,,b", "a b", "a,\xc3\xa9"})
    EXPECT_FALSE(parse_selection(bad)) << bad;
  EXPECT_FALSE(parse_selection(std::string(65, 'a')));
}

TEST(Selection, PrintsWhatItReads) {
  for (const char* text : {"all", "last", "first=1", "first=255", "matching", "edge", "192.0.2.1,2001:db8::1"})
    EXPECT_EQ(print_selection(*parse_selection(text)), text);
}

TEST(Selection, IsAHeaderOfEveryRequest) {
  for (const char* first : {"REMOVE a_1", "PROBE *"}) {
    auto m = parse_message(std::string(first) + " NETSERV/0.1\nnodes:Last\n\n");
    ASSERT_TRUE(m);
    auto request = parse_request(*m);
    ASSERT_TRUE(request) << request.error().message();
    EXPECT_EQ(request->signer.nodes, "last");
    EXPECT_EQ(*to_message(request->body, request->signer).find("nodes"), "last");
  }
  EXPECT_FALSE(parse_request(*parse_message("REMOVE a_1 NETSERV/0.1\nnodes:first=0\n\n")));
}

}  // namespace
}  // namespace netserv::ncm
