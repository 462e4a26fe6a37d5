#include "netserv/text.hpp"

#include <gtest/gtest.h>

#include <string>

namespace {

using netserv::guest::Text;
using netserv::guest::TextWriter;

std::string string_of(Text t) { return std::string(t.data, t.size); }

TEST(Text, ComparesAndCuts) {
  EXPECT_TRUE(netserv::guest::equal_ignoring_case("Call-ID", "call-id"));
  EXPECT_FALSE(netserv::guest::equal_ignoring_case("[", "{"));
  EXPECT_EQ(string_of(Text("hello").sub(3, 9)), "lo");
  EXPECT_TRUE(Text("hello").sub(6).empty());
}

TEST(TextWriter, LeavesOutWhatDoesNotFit) {
  char out[8];
  TextWriter writer(out, sizeof out);
  writer.add("abc").number(1234);
  EXPECT_EQ(string_of(writer.text()), "abc1234");
  EXPECT_FALSE(writer.full());
  writer.add("xy").add("z");
  EXPECT_TRUE(writer.full());
  EXPECT_EQ(string_of(writer.text()), "abc1234");
  writer.cut(3);
  writer.number(0).add("z");
  EXPECT_EQ(string_of(writer.text()), "abc0z");
}

TEST(TextWriter, Numbers) {
  char out[64];
  TextWriter writer(out, sizeof out);
  writer.number(18446744073709551615u).add(" ").hex(0xab);
  EXPECT_EQ(string_of(writer.text()), "18446744073709551615 00000000000000ab");
}

}  // namespace
