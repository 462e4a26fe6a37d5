#include "wire/ncm/response.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iostream>
#include <random>
#include <set>
#include <sstream>

#include "wire/ncm/reader.h"

namespace netserv::ncm {
namespace {

TEST(Status, NumbersAreUniqueAndTheirHundredsAreTheClass) {
  std::set<int> seen;
  for (const StatusRow& row : status_table()) {
    EXPECT_TRUE(seen.insert(number(row.code)).second);
    EXPECT_NE(to_string(class_of(row.code)), "unknown class") << row.name;
    EXPECT_EQ(find_status(row.code)->name, row.name);
  }
}

TEST(Status, DocumentIsMadeFromTheTable) {
  std::ifstream file(NETSERV_SOURCE_DIR "/docs/ncm-status.md");
  std::stringstream text;
  text << file.rdbuf();
  if (text.str() != status_table_markdown()) std::cout << status_table_markdown();
  EXPECT_TRUE(text.str() == status_table_markdown()) << "docs/ncm-status.md should read as printed above";
}

TEST(Response, PrintAndParseAreInverse) {
  std::mt19937 rng(3);
  for (const StatusRow& row : status_table()) {
    Response r{row.code, rng() % 2 ? "m_1" : "", "a sentence, with: colons", "m_1", rng() % 2 ? "192.0.2.1" : "",
               "ACTIVE", rng() % 2 ? "{\"a\":\"\\n\\n\"}\n\nx" : ""};
    auto back = parse_response(print_response(r));
    ASSERT_TRUE(back) << print_response(r);
    EXPECT_EQ(*back, r);
  }
}

TEST(Response, CannotBeBrokenByItsFields) {
  Response r{StatusCode::kSyntax, "first line", "a\r\nnode:evil\n\n" + std::string(5000, 'x'), "id\nstate:X", "", "", ""};
  auto back = parse_response(print_response(r));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->object, "first_line");
  EXPECT_EQ(back->id, "id state:X");
  EXPECT_EQ(back->node, "");
  EXPECT_EQ(back->state, "");
}

TEST(Response, Refusals) {
  for (std::string_view text :
       {"", "\n", "NETSERV/0.1 2 200 x\n", "NETSERV/0.2 2 200 x\n\n", "NETSERV/0.1 3 200 x\n\n",
        "NETSERV/0.1 7 700 x\n\n", "NETSERV/0.1 2 200\n\n", "NETSERV/0.1 2 200 x\ncontent-length:-1\n\n",
        "NETSERV/0.1 2 200 x\ncontent-length:5\n\nabc", "NETSERV/0.1 2 200 x\ncontent-length:99999999999\n\n",
        "NETSERV/0.1 2 200 x\n\nrest"})
    EXPECT_FALSE(parse_response(text)) << text;
}

TEST(ResponseReader, WaitsForTheBody) {
  Response r{StatusCode::kOk, "-", "", "", "n", "", "{\"x\":1}"};
  r.object = "x";
  std::string text = print_response(r) + print_response(r);
  ResponseReader reader;
  std::size_t got = 0;
  for (char c : text) {
    reader.feed(std::string_view(&c, 1));
    auto next = reader.next();
    ASSERT_TRUE(next);
    if (!*next) continue;
    EXPECT_EQ(**next, r);
    ++got;
  }
  EXPECT_EQ(got, 2u);
}

TEST(Response, FromAnError) {
  Response r = response_to(refuse(StatusCode::kBadSignature, "signature", "is wrong").value(), "m_1", "n");
  EXPECT_EQ(print_response(r), "NETSERV/0.1 5 503 signature is wrong\nid:m_1\nnode:n\n\n");
  Error plain{Origin::kSystem, "disk", "broken", 0};
  EXPECT_EQ(response_to(plain, "", "").code, StatusCode::kInternal);
}

}  // namespace
}  // namespace netserv::ncm
