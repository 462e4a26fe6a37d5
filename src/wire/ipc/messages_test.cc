// Every message survives a round trip, and no truncation of one is accepted.
#include <gtest/gtest.h>

#include "wire/ipc/archive.h"
#include "wire/ipc/container_messages.h"
#include "wire/ipc/forwarder_messages.h"
#include "wire/ipc/stats_pages.h"

namespace netserv::ipc {
namespace {

template <class Variant>
void expect_round_trip(const Variant& message) {
  Bytes bytes = encode(message);
  auto back = decode<Variant>(bytes);
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(*back, message);
  for (std::size_t n = 0; n < bytes.size(); ++n)
    EXPECT_FALSE(decode<Variant>(ByteSpan(bytes).first(n))) << "kind " << message.index() << " cut to " << n;
  bytes.push_back(std::byte{0});
  EXPECT_FALSE(decode<Variant>(bytes)) << "left-over bytes";
}

TEST(ContainerMessages, RoundTrip) {
  LoadModule load{ModuleId("a_1"), ModuleSlot(3), "ab.so", -5, 77, {{"k", "v"}, {"l", ""}}, {"packet/1"}, 64};
  ModuleStatus status{ModuleId("a_1"), ModuleSlot(3), "ab.so", ModuleHealth::kBackingOff};
  status.counters["hits"] = 9;
  for (const ToContainer& m : {ToContainer(Hello{}), ToContainer(AttachRing{4}), ToContainer(load),
                               ToContainer(UpdateModule{ModuleId("a_1"), 2, {{"x", "y"}}}),
                               ToContainer(UnloadModule{ModuleId("a_1")}), ToContainer(GetStatus{})})
    expect_round_trip(m);
  for (const FromContainer& m :
       {FromContainer(Welcome{3, "wasm", 4, {status}, {2, 5}}), FromContainer(Welcome{2, "wasm", 4, {status}}), FromContainer(RingAttached{4, "no"}),
        FromContainer(ModuleFailed{ModuleId("b"), "why"}), FromContainer(ContainerStatus{1, 2, {3}, {status, status}}),
        FromContainer(ModuleTrapped{ModuleId("b"), "unreachable", 100}), FromContainer(ModuleLog{ModuleId("b"), 2, "t"})})
    expect_round_trip(m);
}

// Bytes as a container of protocol 2 writes them.
TEST(ContainerMessages, TheWelcomeOfTheVersionBeforeIsUnderstood) {
  Bytes bytes;
  for (char byte : std::string_view("\0\0" "\0\0\0\2" "\0\0\0\4wasm" "\0\0\0\0\0\0\0\11" "\0\0\0\0", 26))
    bytes.push_back(static_cast<std::byte>(byte));
  auto welcome = decode<FromContainer>(bytes);
  ASSERT_TRUE(welcome) << welcome.error().message();
  EXPECT_EQ(*welcome, FromContainer(Welcome{2, "wasm", 9, {}, {3, 3}}));
  EXPECT_EQ(encode(*welcome), bytes);
  bytes[5] = std::byte{3};
  EXPECT_FALSE(decode<FromContainer>(bytes)) << "version 3 says which rings";
}

TEST(ForwarderMessages, RoundTrip) {
  Filter filter{kProtocolUdp, 5060, {}, *Prefix::parse("2001:db8::/32")};
  for (const ToForwarder& m :
       {ToForwarder(ForwarderHello{}),
        ToForwarder(ConfigureContainer{ContainerId(7), "jane", -1, 2, {*Prefix::parse("10.0.0.0/8")}, 100, false}),
        ToForwarder(SetFilters{ContainerId(7), 9, {{filter, ModuleSlot(1), true, true, 64, 10}, {}}}),
        ToForwarder(SetDrain{true}), ToForwarder(GetForwarderStats{64}),
        ToForwarder(SetReserved{{*Prefix::parse("10.0.0.0/8")}})})
    expect_round_trip(m);
  for (const FromForwarder& m : {FromForwarder(ForwarderWelcome{1, "fake", "", "configured", 2, 4}), FromForwarder(ContainerRing{ContainerId(7)}),
                                 FromForwarder(ForwarderStats{{{"packets", 1}}, {{ContainerId(7), {{"drop", 2}}}}, "native", 64, 128})})
    expect_round_trip(m);
}

// With names as long as the forwarder's, and more of them.
ForwarderStats stats_of(std::uint32_t containers) {
  ForwarderStats all{{{"packets_in", 5}}, {}, "native"};
  for (std::uint32_t i = 1; i <= containers; ++i) {
    ContainerCounters& c = all.containers.emplace_back(ContainerCounters{ContainerId(i), {}});
    for (int n = 0; n < 48; ++n) c.counters["ring_bad_completions_" + std::to_string(n)] = i;
  }
  return all;
}

TEST(ForwarderStatsPages, EachFitsIntoAMessageAndTogetherTheyAreAll) {
  for (std::uint32_t containers : {0u, 1u, kStatsContainers, kStatsContainers + 1, 1000u}) {
    ForwarderStats all = stats_of(containers);
    StatsPages pages;
    StatsPages::Progress progress;
    std::uint32_t from = 0, asked = 0;
    do {
      ForwarderStats page = stats_page(all, from);
      EXPECT_LE(encode(FromForwarder(page)).size(), kMaxControlBytes);
      progress = pages.add(page);
      from = progress.next;
      ++asked;
    } while (!progress.all && asked < 100);
    ASSERT_TRUE(progress.all);
    EXPECT_EQ(*progress.all, all);
    EXPECT_EQ(asked, std::max(1u, (containers + kStatsContainers - 1) / kStatsContainers));
  }
}

TEST(ForwarderStatsPages, APageThatWasOvertakenIsLeftOut) {
  ForwarderStats all = stats_of(3 * kStatsContainers);
  StatsPages pages;
  EXPECT_EQ(pages.add(stats_page(all, 0)).next, kStatsContainers);
  EXPECT_EQ(pages.add(stats_page(all, 0)).next, kStatsContainers);  // asked anew
  EXPECT_EQ(pages.add(stats_page(all, kStatsContainers)).next, 2 * kStatsContainers);
  auto twice = pages.add(stats_page(all, kStatsContainers));
  EXPECT_EQ(twice.next, 0u);
  EXPECT_FALSE(twice.all);
  EXPECT_EQ(pages.add(stats_page(all, 2 * kStatsContainers)).all, all);
  // The forwarder has been started again since: it has fewer.
  EXPECT_EQ(stats_page(stats_of(1), kStatsContainers).containers.size(), 0u);
}

TEST(Decoding, RefusesValuesOutOfRange) {
  Bytes unknown_kind{std::byte{0}, std::byte{99}};
  EXPECT_EQ(decode<ToContainer>(unknown_kind).error().text, "unknown kind");
  Bytes drain = encode(ToForwarder(SetDrain{true}));
  drain.back() = std::byte{2};
  EXPECT_FALSE(decode<ToForwarder>(drain)) << "a bool is 0 or 1";
  Bytes huge_count{std::byte{0}, std::byte{5}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff}};
  EXPECT_FALSE(decode<FromContainer>(huge_count));
}

}  // namespace
}  // namespace netserv::ipc
