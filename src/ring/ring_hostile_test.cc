// A container that writes whatever it likes wherever it can: the forwarder's books stay balanced.
#include <gtest/gtest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <set>
#include <vector>

#include "ring/ring_memory.h"
#include "ring/ring_producer.h"

namespace netserv::ring {
namespace {

struct Victim {
  std::unique_ptr<RingProducer> ring;
  std::unique_ptr<RingMapping> attacker;
};
Victim make_victim(std::uint32_t slots = kSlots) {
  auto ring = RingProducer::create("/dev/shm", slots);
  EXPECT_TRUE(ring);
  auto map = RingMapping::map((*ring)->file_fd(), Guard::kNone);
  EXPECT_TRUE(map);
  return {*std::move(ring), *std::move(map)};
}

TEST(HostileRing, IndexTooFarAheadCutsTheContainerOff) {
  Victim v = make_victim();
  ASSERT_TRUE(v.ring->stage(as_bytes("x"), {}));
  v.ring->publish();
  v.attacker->header().complete_head.store(kSlots + 1);
  Reaped out[8];
  EXPECT_EQ(v.ring->reap(out), 0u);
  EXPECT_TRUE(v.ring->corrupted());
  EXPECT_NE(v.ring->corrupt_reason().find("completion index"), std::string_view::npos);
  EXPECT_FALSE(v.ring->stage(as_bytes("x"), {}));

  Victim w = make_victim();
  w.attacker->header().emit_head.store(kEmitSlots + 1);
  EXPECT_FALSE(w.ring->take_emitted());
  EXPECT_TRUE(w.ring->corrupted());
}

class SenselessCompletions : public ::testing::TestWithParam<std::uint32_t> {};

TEST_P(SenselessCompletions, AreCountedAndSkipped) {
  Victim v = make_victim(slots_of_part(GetParam()));
  auto slot = v.ring->stage(as_bytes("x"), {});
  v.ring->publish();
  Completion* c = v.attacker->complete();
  c[0] = {v.ring->slots(), 1, NETSERV_PASS, 0, 0, 0, 0};              // no such slot
  c[1] = {*slot ^ 1, 1, NETSERV_PASS, 0, 0, 0, 0};           // not in flight
  c[2] = {*slot, kSlotBytes + 1, NETSERV_PASS, 1, 0, 0, 0};  // too long: counts as no answer of a module
  c[3] = {*slot, 1, NETSERV_PASS, 0, 0, 0, 0};               // twice
  v.attacker->header().complete_head.store(4);
  Reaped out[8];
  ASSERT_EQ(v.ring->reap(out), 1u);
  EXPECT_EQ(out[0].slot, *slot);
  EXPECT_FALSE(out[0].changed);
  EXPECT_TRUE(out[0].skipped);
  EXPECT_EQ(v.ring->counters().bad_completions, 4u);
  EXPECT_FALSE(v.ring->corrupted());
}

INSTANTIATE_TEST_SUITE_P(Parts, SenselessCompletions, ::testing::Values(1u, 3u, 4u));

TEST(HostileRing, AFileCutShortIsSurvived) {
  Victim v = make_victim(slots_of_part(2));
  auto slot = v.ring->stage(as_bytes("x"), {});
  v.ring->publish();
  ASSERT_EQ(::ftruncate(v.ring->file_fd(), 0), 0);
  Reaped out[8];
  EXPECT_EQ(v.ring->reap(out), 0u);
  EXPECT_TRUE(v.ring->corrupted());
  EXPECT_NE(v.ring->corrupt_reason().find("cut"), std::string_view::npos);
  std::byte copy[16];
  v.ring->copy_out(*slot, copy);
  EXPECT_FALSE(v.ring->stage(as_bytes("y"), {}));
  v.ring->publish();
  EXPECT_FALSE(v.ring->take_emitted());
  EXPECT_TRUE(v.ring->prepare_wait());
  v.ring->abandon(*slot);

  Victim other = make_victim();  // later rings work
  ASSERT_TRUE(other.ring->stage(as_bytes("y"), {}));
  other.ring->publish();
  EXPECT_EQ(other.attacker->header().submit_head.load(), 1u);
}

// One hostile write per step, biased towards plausible values so that the checks behind the first are met too.
void attack(RingMapping& map, std::mt19937& random) {
  auto pick = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  RingHeader& h = map.header();
  switch (pick(8)) {
    case 0: h.complete_head.store(h.complete_tail.load() + pick(64)); break;
    case 1: h.emit_head.store(h.emit_tail.load() + pick(16)); break;
    case 2: h.container_waiting.store(static_cast<std::uint32_t>(random())); break;
    case 3: h.heartbeat.store(random()); break;
    case 4: h.submit_tail.store(static_cast<std::uint32_t>(random())); break;
    case 5:
    case 6: {
      Completion c{pick(kSlots + 4), pick(2) ? pick(kSlotBytes * 2) : static_cast<std::uint32_t>(random()),
                   static_cast<std::uint8_t>(pick(6)), static_cast<std::uint8_t>(pick(3)),
                   static_cast<std::uint8_t>(random()), static_cast<std::uint8_t>(pick(2)), 0};
      map.complete()[pick(kSlots)] = c;
      break;
    }
    default:
      map.emit()[pick(kEmitSlots)] = {pick(kEmitSlots + 4), pick(kSlotBytes + 64), static_cast<std::uint8_t>(random()), {}};
  }
  if (pick(20'000) == 0) {  // now and then everything that can be written
    auto all = map.bytes();
    for (std::size_t i = kSubmitOffset; i < kEmitDataOffset; ++i) all[i] = std::byte(random() & 0xff);
    std::uint32_t* words = reinterpret_cast<std::uint32_t*>(&h);
    for (std::size_t i = 0; i < kPage / 4; ++i) words[i] = static_cast<std::uint32_t>(random());
  }
}

TEST(HostileRing, RandomGarbageNeverUnbalancesTheBooks) {
  for (unsigned seed = 1; seed <= 24; ++seed) {
    std::mt19937 random(seed);
    Victim v = make_victim(slots_of_part(1 + seed % 4));
    std::set<std::uint32_t> submitted, abandoned;
    std::vector<Reaped> out(64);
    for (int step = 0; step < 4000; ++step) {
      attack(*v.attacker, random);
      switch (random() % 4) {
        case 0:
          if (auto slot = v.ring->stage(as_bytes("some packet"), {})) {
            ASSERT_LT(*slot, v.ring->slots());
            ASSERT_TRUE(submitted.insert(*slot).second) << "slot given twice";
            ASSERT_FALSE(abandoned.contains(*slot) && v.ring->counters().late_completions == 0);
          }
          v.ring->publish();
          break;
        case 1: {
          std::size_t n = v.ring->reap(out);
          for (std::size_t i = 0; i < n; ++i) {
            ASSERT_EQ(submitted.erase(out[i].slot), 1u) << "completion of a packet that was not there";
            ASSERT_LE(out[i].verdict, NETSERV_STEAL);
            if (out[i].changed) {
              ASSERT_TRUE(out[i].length >= 1 && out[i].length <= kSlotBytes);
            }
            v.ring->release(out[i].slot);
          }
          break;
        }
        case 2:
          if (auto emitted = v.ring->take_emitted()) {
            ASSERT_LE(emitted->packet.size(), kSlotBytes);
            ASSERT_LT(emitted->module.value(), kMaxModulesPerContainer);
          }
          break;
        default:
          if (!submitted.empty() && random() % 8 == 0) {
            v.ring->abandon(*submitted.begin());
            abandoned.insert(*submitted.begin());
            submitted.erase(submitted.begin());
          }
      }
      ASSERT_EQ(v.ring->in_container(), submitted.size());
      ASSERT_LE(v.ring->free_slots() + submitted.size(), v.ring->slots());
      if (v.ring->corrupted()) {
        v = make_victim();
        submitted.clear();
        abandoned.clear();
      }
    }
  }
}

// The container's wake-up and ours are shared file descriptions: it may fill them up, empty them, and have them block.
TEST(HostileRing, SharedEventsNeverBlockTheForwarder) {
  Victim v = make_victim();
  std::uint64_t all = 0xfffffffffffffffe, one = 1;
  for (int fd : {v.ring->container_event_fd(), v.ring->forwarder_event_fd()}) {
    ::fcntl(fd, F_SETFL, 0);
    (void)!::write(fd, &all, sizeof all);
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
    (void)!::write(fd, &one, sizeof one);
    ::fcntl(fd, F_SETFL, 0);
  }
  for (int i = 0; i < 3; ++i) v.ring->kick();
  for (int i = 0; i < 3; ++i) v.ring->end_wait();  // the first empties it
  EXPECT_EQ(v.ring->counters().idle_wakeups, 3u);
  EXPECT_EQ(v.ring->counters().wakeups, 3u);
}

}  // namespace
}  // namespace netserv::ring
