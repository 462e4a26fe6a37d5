#include "base/bytes.h"

#include <gtest/gtest.h>

namespace netserv {
namespace {

Bytes hex(std::string_view text) {
  Bytes out;
  EXPECT_TRUE(from_hex(text, out));
  return out;
}

TEST(ByteReader, ReadsBigEndianAndEndsExactly) {
  Bytes in = hex("01020304050607");
  ByteReader r(in);
  EXPECT_EQ(r.u8(), 1);
  EXPECT_EQ(r.u16(), 0x0203);
  EXPECT_FALSE(r.at_end());
  EXPECT_EQ(r.u32(), 0x04050607u);
  EXPECT_TRUE(r.at_end());
}

TEST(ByteReader, FailureIsStickyAndReadsNothing) {
  Bytes in = hex("0102");
  ByteReader r(in);
  EXPECT_EQ(r.u32(), 0u);
  EXPECT_FALSE(r.ok());
  EXPECT_EQ(r.u8(), 0) << "a later read that would fit must fail too";
  EXPECT_EQ(r.remaining(), 0u);
}

TEST(ByteReader, ChildCannotReadPastItsParent) {
  Bytes in = hex("0102030405");
  ByteReader r(in);
  ByteReader child = r.sub(2);
  EXPECT_EQ(child.u16(), 0x0102);
  child.u8();
  EXPECT_FALSE(child.ok());
  EXPECT_TRUE(r.ok());
  EXPECT_EQ(r.u8(), 3);
  EXPECT_FALSE(r.sub(9).ok());
}

TEST(ByteWriter, PatchesLengths) {
  ByteWriter w;
  w.u16(0);
  w.u24(0x010203);
  w.patch_u16(0, static_cast<std::uint16_t>(w.size()));
  EXPECT_EQ(to_hex(w.view()), "0005010203");
}

TEST(Hex, RefusesOddAndForeignDigits) {
  Bytes out;
  EXPECT_FALSE(from_hex("abc", out));
  EXPECT_FALSE(from_hex("zz", out));
  EXPECT_TRUE(from_hex("DEad", out));
  EXPECT_EQ(to_hex(out), "dead");
}

}  // namespace
}  // namespace netserv
