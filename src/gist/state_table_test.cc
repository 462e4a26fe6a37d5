#include "gist/state_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace netserv::gist {
namespace {

struct Row {
  std::uint64_t id = 0;
  RoutingKey key;
  int value = 0;
};

RoutingKey key(std::uint64_t n) {
  RoutingKey k;
  PathCoupledMri mri;
  mri.source = IpAddress::v4(0x0a000001);
  mri.destination = IpAddress::v4(0x0a000002);
  k.mri = mri;
  k.session.bytes[3] = std::byte(n & 0xff);
  k.session.bytes[12] = std::byte(n >> 8);
  k.nslp = NslpId(1);
  return k;
}

const RoutingKeyHash kHash(RoutingKeyHash::Seed{0x5a17c0de13579bdf, 0x2468ace013fdb975});

TEST(StateTable, AgreesWithAMapWhateverTheOrder) {
  std::mt19937_64 random(7);
  StateTable<Row> table(kHash);
  std::map<std::uint64_t, std::pair<std::uint64_t, Row*>> model;  // key's number to id and place
  std::uint64_t last_id = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t n = random() % 600;
    const auto known = model.find(n);
    if (known == model.end()) {
      Row& row = table.add(key(n), ++last_id);
      row.value = static_cast<int>(n);
      model[n] = {last_id, &row};
    } else if (random() % 2) {
      table.erase(*known->second.second);
      model.erase(known);
    }
    const std::uint64_t probe = random() % 600;
    const auto expected = model.find(probe);
    Row* const found = table.find(key(probe));
    ASSERT_EQ(found, expected == model.end() ? nullptr : expected->second.second) << "and it never moves";
    if (!found) continue;
    EXPECT_EQ(found->value, static_cast<int>(probe));
    EXPECT_EQ(found->id >> FlatIndex::kSlotBits, expected->second.first);
    EXPECT_EQ(table.by_id(found->id), found);
    EXPECT_FALSE(table.by_id(found->id + (1ull << FlatIndex::kSlotBits))) << "of another time";
  }
  EXPECT_EQ(table.size(), model.size());
  std::size_t visited = 0;
  table.each([&](const Row& row) {
    ++visited;
    EXPECT_TRUE(model.contains(static_cast<std::uint64_t>(row.value)));
  });
  EXPECT_EQ(visited, model.size());
  for (const std::uint64_t id : {std::uint64_t{0}, std::uint64_t{FlatIndex::kMaxSlots}, last_id}) EXPECT_FALSE(table.by_id(id));
}

// The number of steps does not grow with that of states: four fifths full at most, an open table takes (1 + 1/(1-a))/2.
TEST(StateTable, ALookUpTakesAsManyStepsAmongManyAsAmongFew) {
  for (const std::uint64_t states : {100u, 1000u, 10000u, 52000u}) {
    StateTable<Row> table(kHash);
    for (std::uint64_t n = 0; n < states; ++n) table.add(key(n), n + 1);
    std::size_t probes = 0;
    for (std::uint64_t n = 0; n < states; ++n) probes += table.probes(key(n));
    EXPECT_LT(static_cast<double>(probes) / static_cast<double>(states), 3.2) << states;
  }
}

// With one hash for all, removal must not hide what lies behind.
TEST(FlatIndex, CollisionsAreOnlySlow) {
  FlatIndex index;
  const auto is = [](std::uint32_t wanted) { return [wanted](std::uint32_t slot) { return slot == wanted; }; };
  const auto hash_of = [](std::uint32_t slot) { return slot % 2 ? 5 : 0xfffffff5; };
  for (std::uint32_t i = 0; i < 50; ++i) index.insert(hash_of(i), i, hash_of);
  for (std::uint32_t i = 0; i < 50; i += 3) index.erase(hash_of(i), i, hash_of);
  for (std::uint32_t i = 0; i < 50; ++i)
    EXPECT_EQ(index.find(hash_of(i), is(i)), i % 3 == 0 ? FlatIndex::kNone : i) << i;
}

TEST(RoutingKeyHash, EveryFieldCountsAndSoDoesTheSecret) {
  const RoutingKey k = key(1);
  const auto differs = [&](auto edit) {
    RoutingKey other = k;
    edit(other, std::get<PathCoupledMri>(other.mri));
    return kHash(other) != kHash(k);
  };
  EXPECT_TRUE(differs([](RoutingKey& o, PathCoupledMri&) { o.session.bytes[15] = std::byte{1}; }));
  EXPECT_TRUE(differs([](RoutingKey& o, PathCoupledMri&) { o.nslp = NslpId(2); }));
  EXPECT_TRUE(differs([](RoutingKey&, PathCoupledMri& m) { m.direction = Direction::kUpstream; }));
  EXPECT_TRUE(differs([](RoutingKey&, PathCoupledMri& m) { m.source = IpAddress::v4(9); }));
  EXPECT_TRUE(differs([](RoutingKey&, PathCoupledMri& m) { m.destination = IpAddress::v4(9); }));
  EXPECT_TRUE(differs([](RoutingKey&, PathCoupledMri& m) { m.destination_prefix = 31; }));
  EXPECT_TRUE(differs([](RoutingKey&, PathCoupledMri& m) { m.protocol = 17; }));
  EXPECT_TRUE(differs([](RoutingKey&, PathCoupledMri& m) { m.source_port = 5060; }));
  EXPECT_TRUE(differs([](RoutingKey&, PathCoupledMri& m) { m.spi = 5; }));
  EXPECT_NE(RoutingKeyHash(RoutingKeyHash::Seed{0x5a17c0de13579bdf, 0x2468ace013fdb976})(k), kHash(k));
}

// Sessions that agree in their first half, which a stranger can choose, spread as random ones do.
TEST(RoutingKeyHash, ChosenSessionsDoNotCollide) {
  std::map<std::size_t, int> buckets;
  for (std::uint64_t i = 0; i < 65536; ++i) {
    RoutingKey k = key(1);
    k.session.bytes[14] = std::byte(i >> 8);
    k.session.bytes[15] = std::byte(i & 0xff);
    ++buckets[kHash(k) & 0xffff];
  }
  int longest = 0;
  for (const auto& [bucket, n] : buckets) longest = std::max(longest, n);
  EXPECT_LT(longest, 12);
}

}  // namespace
}  // namespace netserv::gist
