#include "wire/nslp/parts.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace netserv::nslp {
namespace {

Bytes message_of(std::size_t size) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = std::byte(i * 7 + i / 251);
  return out;
}

Part part_of(const Bytes& payload) { return decode_part(payload).value(); }

TEST(NslpParts, WhatFitsIsNotSplit) {
  const Bytes message = message_of(kMaxPayload);
  EXPECT_EQ(split(message, 1), std::vector<Bytes>{message});
}

TEST(NslpParts, ComeTogetherInAnyOrder) {
  for (std::size_t size : {kMaxPayload + 4, 2 * (kMaxPayload - 12), kMaxMessage}) {
    const Bytes message = message_of(size);
    std::vector<Bytes> parts = split(message, 9);
    ASSERT_GE(parts.size(), 2u);
    do {
      Assembly assembly;
      for (std::size_t i = 0; i + 1 < parts.size(); ++i) EXPECT_FALSE(assembly.add(part_of(parts[i])));
      const auto whole = assembly.add(part_of(parts.back()));
      ASSERT_TRUE(whole);
      EXPECT_EQ(*whole, message);
    } while (std::next_permutation(parts.begin(), parts.end()));
  }
}

TEST(NslpParts, PartsOfTwoMessagesAreNotMixed) {
  const auto first = split(message_of(kMaxPayload + 4), 1), second = split(message_of(kMaxPayload + 8), 2);
  Assembly assembly;
  EXPECT_FALSE(assembly.add(part_of(first[0])));
  EXPECT_FALSE(assembly.add(part_of(second[1])));
  EXPECT_FALSE(assembly.add(part_of(first[1])));
  EXPECT_EQ(assembly.add(part_of(first[0])), message_of(kMaxPayload + 4));
}

TEST(NslpParts, WhatIsNoPartIsRefused) {
  const Bytes good = split(message_of(kMaxPayload + 4), 1)[0];
  ASSERT_TRUE(decode_part(good));
  auto changed = [&](std::size_t at, int value) {
    Bytes bytes = good;
    bytes[at] = std::byte(value);
    return decode_part(bytes).has_value();
  };
  EXPECT_FALSE(changed(1, 1));            // another type
  EXPECT_FALSE(changed(2, 2));            // beyond the last
  EXPECT_FALSE(changed(3, 1));            // one part only
  EXPECT_FALSE(changed(3, kMaxParts + 1));
  EXPECT_FALSE(changed(8, 1));            // reserved
  EXPECT_FALSE(decode_part(ByteSpan(good).first(good.size() - 4)));  // not full, and not the last
  EXPECT_FALSE(decode_part(ByteSpan(good).first(12)));
  EXPECT_FALSE(decode_part(ByteSpan(good).first(3)));
}

}  // namespace
}  // namespace netserv::nslp
