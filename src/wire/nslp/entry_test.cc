#include <gtest/gtest.h>

#include <random>

#include "wire/ncm/status.h"
#include "wire/nslp/message.h"

namespace netserv::nslp {
namespace {

Entry entry(std::string node, std::size_t body = 0) {
  ncm::Response r;
  r.code = ncm::StatusCode::kActive;
  r.object = "NetMonitor_1.0.0";
  r.text = "active";
  r.state = "ACTIVE";
  r.body = std::string(body, 'x');
  Entry e = to_entry(r, std::move(node), IpAddress::v4(0xc0000201));
  e.residence = Microseconds(1234);
  e.wait = Microseconds(1000);
  return e;
}

TEST(NslpEntry, StackComesBack) {
  Response r;
  r.id = 9;
  r.stack = {entry("a"), entry("b", 100), entry("c")};
  r.stack[2].address = *IpAddress::parse("2001:db8::1");
  r.stack[2].body_left_out = true;
  auto bytes = encode(r);
  ASSERT_TRUE(bytes) << bytes.error().message();
  auto back = decode(*bytes);
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(std::get<Response>(*back), r);
}

TEST(NslpEntry, ControllersTextBecomesOneShortLine) {
  ncm::Response r;
  r.text = "a\nb\x01" + std::string(1000, 'y');
  r.object = std::string(500, 'o');
  r.body = std::string(kMaxEntryBody + 1, '{');
  Entry e = to_entry(r, "n", {});
  EXPECT_EQ(e.text.substr(0, 4), "a b ");
  EXPECT_TRUE(e.body_left_out);
  EXPECT_TRUE(encode(Response{1, {e}, {}}));
}

TEST(NslpEntry, ShrinkKeepsNodesBeforeWords) {
  Response r;
  for (int i = 0; i < 20; ++i) r.stack.push_back(entry("node" + std::to_string(i), i == 3 ? 9000 : 500));
  Response all = r;
  shrink(r, kMaxPayload);
  EXPECT_TRUE(r.stack[3].body_left_out);
  EXPECT_FALSE(r.stack[2].body_left_out);
  EXPECT_TRUE(encode(r));
  r = all;
  shrink(r, 1000);
  EXPECT_EQ(r.stack.size(), 20u);
  EXPECT_LE(encode(r)->size(), 1000u);
  shrink(r, 200);
  EXPECT_LT(r.stack.size(), 20u);
  EXPECT_LE(encode(r)->size(), 200u);
  EXPECT_EQ(r.stack[0].node, "node0");
}

TEST(NslpEntry, BentEntriesAreRefusedOrStable) {
  std::mt19937 rng(5);
  const Bytes whole = *encode(Response{3, {entry("a", 40), entry("b")}, {}});
  for (int i = 0; i < 20000; ++i) {
    Bytes bent = whole;
    bent[rng() % bent.size()] = std::byte(rng());
    auto got = decode(bent);
    if (!got) continue;
    auto again = encode(*got);
    ASSERT_TRUE(again) << again.error().message();
    ASSERT_EQ(*decode(*again), *got);
  }
  for (std::size_t n = 0; n < whole.size(); ++n)
    if (auto got = decode(ByteSpan(whole).first(n))) {
      EXPECT_LT(std::get<Response>(*got).stack.size(), 2u);
    }
}

TEST(NslpEntry, FullStack) {
  Response r;
  for (std::size_t i = 0; i < kMaxEntries + 5; ++i) r.stack.push_back(entry(std::string(60, 'n')));
  EXPECT_FALSE(encode(r));
  shrink(r, kMaxPayload);
  EXPECT_EQ(r.stack.size(), kMaxEntries);
  EXPECT_TRUE(encode(r));
}

// A far node's objects of a later version do not push out what nearer nodes answered.
TEST(NslpEntry, ForeignObjectsGoBeforeEntries) {
  Response r;
  for (int i = 0; i < 5; ++i) r.stack.push_back(entry("near"));
  r.foreign = {{77, Bytes(4)}, {77, Bytes(4 * 4080)}};
  shrink(r, kMaxPayload);
  EXPECT_EQ(r.stack.size(), 5u);
  EXPECT_EQ(r.stack[4], entry("near"));
  EXPECT_EQ(r.foreign.size(), 1u);
  EXPECT_LE(encode(r).value().size(), kMaxPayload);
}

}  // namespace
}  // namespace netserv::nslp
