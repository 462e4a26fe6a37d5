// Both sides of the ring, in one thread and in two.
#include <sched.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <cstring>
#include <thread>
#include <vector>

#include "ring/ring_consumer.h"
#include "ring/ring_producer.h"

namespace netserv::ring {
namespace {

struct Pair {
  std::unique_ptr<RingProducer> forwarder;
  std::unique_ptr<RingConsumer> container;
};

sys::UniqueFd duplicate(int fd) { return sys::UniqueFd(::dup(fd)); }

Pair make_pair(std::uint32_t slots = kSlots) {
  auto producer = RingProducer::create("/dev/shm", slots);
  EXPECT_TRUE(producer) << producer.error().message();
  auto consumer = RingConsumer::attach(duplicate((*producer)->file_fd()), duplicate((*producer)->container_event_fd()),
                                       duplicate((*producer)->forwarder_event_fd()));
  EXPECT_TRUE(consumer) << consumer.error().message();
  return {*std::move(producer), *std::move(consumer)};
}

bool wait_readable(int fd) {
  pollfd p{fd, POLLIN, 0};
  return ::poll(&p, 1, 60'000) == 1;
}
bool readable_now(int fd) {
  pollfd p{fd, POLLIN, 0};
  return ::poll(&p, 1, 0) == 1;
}

TEST(Ring, OneOfAnotherVersionIsRefused) {
  for (auto [version, maps] : {std::pair{kOldestVersion - 1, false}, {kOldestVersion, true}, {kVersion, true}, {kVersion + 1, false}}) {
    auto ring = RingProducer::create("/dev/shm", kSlots);
    ASSERT_TRUE(ring) << ring.error().message();
    ASSERT_EQ(::pwrite((*ring)->file_fd(), &version, sizeof version, offsetof(RingHeader, version)), 4);
    auto attached = RingConsumer::attach(duplicate((*ring)->file_fd()), duplicate((*ring)->container_event_fd()),
                                         duplicate((*ring)->forwarder_event_fd()));
    EXPECT_EQ(attached.has_value(), maps) << version;
    if (!attached) {
      EXPECT_EQ(attached.error().text, "of version " + std::to_string(version) + ", not of 3 to 3");
    }
  }
}

TEST(Ring, CarriesAPacketThereAndItsVerdictBack) {
  Pair ring = make_pair();
  PacketMeta meta{1500, 42, 0b101, 7, 100, NETSERV_FLAG_TRUNCATED};
  auto slot = ring.forwarder->stage(as_bytes("packet"), meta);
  ASSERT_TRUE(slot);
  SubmitDescriptor taken[4];
  EXPECT_FALSE(ring.container->has_more());
  EXPECT_EQ(ring.container->take(taken), 0u);  // staged, not published
  ring.forwarder->publish();
  EXPECT_TRUE(ring.container->has_more());
  ASSERT_EQ(ring.container->take(taken), 1u);
  EXPECT_FALSE(ring.container->has_more());
  EXPECT_EQ(taken[0].slot, *slot);
  EXPECT_EQ(taken[0].original_length, 1500u);
  EXPECT_EQ(taken[0].received_ns, 42u);
  EXPECT_EQ(taken[0].modules, 0b101u);
  EXPECT_EQ(taken[0].ingress, 7u);
  EXPECT_EQ(taken[0].vlan, 100u);
  EXPECT_EQ(taken[0].flags, NETSERV_FLAG_TRUNCATED);
  auto bytes = ring.container->slot_bytes(taken[0]);
  EXPECT_EQ(as_text(bytes.first(taken[0].length)), "packet");

  std::memcpy(bytes.data(), "changed!", 8);
  Completion done{*slot, 8, NETSERV_REPLY, 1, 3, 0, 0};
  ring.container->complete({&done, 1});
  Reaped reaped[4];
  EXPECT_EQ(ring.forwarder->reap(reaped), 0u);  // not flushed
  ring.container->flush();
  ASSERT_EQ(ring.forwarder->reap(reaped), 1u);
  EXPECT_EQ(reaped[0].slot, *slot);
  EXPECT_EQ(reaped[0].verdict, NETSERV_REPLY);
  EXPECT_TRUE(reaped[0].changed);
  EXPECT_EQ(reaped[0].decided_by, 3);
  std::byte copy[8];
  ring.forwarder->copy_out(*slot, copy);
  EXPECT_EQ(as_text(copy), "changed!");
  EXPECT_EQ(ring.forwarder->free_slots(), kSlots - 1);
  ring.forwarder->release(*slot);
  EXPECT_EQ(ring.forwarder->free_slots(), kSlots);
}

TEST(Ring, EmitsInOrderAndRefusesWhenFull) {
  Pair ring = make_pair();
  for (std::uint32_t i = 0; i < kEmitSlots; ++i)
    ASSERT_TRUE(ring.container->emit(ModuleSlot(5), as_bytes("e" + std::to_string(i))));
  EXPECT_FALSE(ring.container->emit(ModuleSlot(5), as_bytes("one too many")));
  EXPECT_FALSE(ring.forwarder->take_emitted());
  ring.container->flush();
  for (std::uint32_t i = 0; i < kEmitSlots; ++i) {
    auto emitted = ring.forwarder->take_emitted();
    ASSERT_TRUE(emitted);
    EXPECT_EQ(as_text(emitted->packet), "e" + std::to_string(i));
    EXPECT_EQ(emitted->module, ModuleSlot(5));
  }
  EXPECT_FALSE(ring.forwarder->take_emitted());
  EXPECT_TRUE(ring.container->emit(ModuleSlot(0), as_bytes("room again")));
  EXPECT_FALSE(ring.container->emit(ModuleSlot(0), {}));
  EXPECT_FALSE(ring.container->emit(ModuleSlot(0), Bytes(kSlotBytes + 1)));
}

TEST(Ring, FullRingRefusesAndAnAbandonedSlotComesBackLate) {
  Pair ring = make_pair();
  std::vector<std::uint32_t> slots;
  while (auto slot = ring.forwarder->stage(as_bytes("x"), {})) slots.push_back(*slot);
  EXPECT_EQ(slots.size(), kSlots);
  ring.forwarder->publish();
  for (std::uint32_t slot : slots) ring.forwarder->abandon(slot);
  EXPECT_EQ(ring.forwarder->in_container(), 0u);
  EXPECT_FALSE(ring.forwarder->stage(as_bytes("x"), {}));  // still the container's to write

  std::vector<SubmitDescriptor> taken(kSlots);
  ASSERT_EQ(ring.container->take(taken), kSlots);
  for (auto& d : taken) {
    Completion c{d.slot, d.length, NETSERV_DROP, 0, 0, 0, 0};
    ring.container->complete({&c, 1});
  }
  ring.container->flush();
  std::vector<Reaped> reaped(kSlots);
  EXPECT_EQ(ring.forwarder->reap(reaped), 0u);
  EXPECT_EQ(ring.forwarder->counters().late_completions, kSlots);
  EXPECT_EQ(ring.forwarder->free_slots(), kSlots);
}

// The shortest one, and one that does not divide its queues' length.
TEST(Ring, ARingOfAPartOfTheWindowIsFullEarlierAndGoesRoundItsQueues) {
  for (std::uint32_t parts : {3u, kMostParts}) {
    Pair ring = make_pair(slots_of_part(parts));
    ASSERT_EQ(ring.forwarder->slots(), slots_of_part(parts));
    ASSERT_EQ(ring.container->window().size(), slots_of_part(parts) * kSlotBytes);
    std::vector<SubmitDescriptor> taken(kSlots);
    std::vector<Reaped> reaped(kSlots);
    for (std::uint32_t round = 0; round < 3 * kSlots / slots_of_part(parts); ++round) {
      std::uint32_t staged = 0;
      while (auto slot = ring.forwarder->stage(as_bytes("x" + std::to_string(staged)), {})) {
        ASSERT_LT(*slot, slots_of_part(parts));
        ++staged;
      }
      ASSERT_EQ(staged, slots_of_part(parts));
      ring.forwarder->publish();
      ASSERT_EQ(ring.container->take(taken), staged);
      for (std::uint32_t i = 0; i < staged; ++i) {
        EXPECT_EQ(as_text(ring.container->slot_bytes(taken[i]).first(taken[i].length)), "x" + std::to_string(i));
        Completion c{taken[i].slot, taken[i].length, NETSERV_PASS, 0, 0xff, 0, 0};
        ring.container->complete({&c, 1});
      }
      ring.container->flush();
      ASSERT_EQ(ring.forwarder->reap(reaped), staged);
      for (std::uint32_t i = 0; i < staged; ++i) ring.forwarder->release(reaped[i].slot);
      ASSERT_EQ(ring.forwarder->free_slots(), staged);
    }
    EXPECT_EQ(ring.forwarder->counters().bad_completions, 0u);
  }
}

TEST(Ring, WakesOnlyASleepingSide) {
  Pair ring = make_pair();
  ASSERT_TRUE(ring.forwarder->stage(as_bytes("x"), {}));
  ring.forwarder->publish();
  EXPECT_FALSE(readable_now(ring.container->wake_fd()));
  EXPECT_FALSE(ring.container->prepare_wait());  // there is one already
  SubmitDescriptor d[2];
  ASSERT_EQ(ring.container->take(d), 1u);
  EXPECT_TRUE(ring.container->prepare_wait());
  ASSERT_TRUE(ring.forwarder->stage(as_bytes("y"), {}));
  ring.forwarder->publish();
  EXPECT_TRUE(readable_now(ring.container->wake_fd()));
  ring.container->end_wait();
  EXPECT_FALSE(readable_now(ring.container->wake_fd()));
  ASSERT_EQ(ring.container->take({d + 1, 1}), 1u);

  EXPECT_TRUE(ring.forwarder->prepare_wait());
  Completion c{d[0].slot, d[0].length, NETSERV_PASS, 0, 0xff, 0, 0};
  ring.container->complete({&c, 1});
  ring.container->flush();
  EXPECT_TRUE(readable_now(ring.forwarder->forwarder_event_fd()));
  ring.forwarder->end_wait();
  EXPECT_FALSE(readable_now(ring.forwarder->forwarder_event_fd()));
  EXPECT_FALSE(ring.forwarder->prepare_wait());
}

// On one core the forwarder would take over after every batch: it is let sleep until all is done, or for a few batches.
TEST(Ring, OnOneCoreTheForwarderSleepsUntilTheRingIsEmpty) {
  cpu_set_t here;
  CPU_ZERO(&here);
  CPU_SET(::sched_getcpu(), &here);
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  ASSERT_EQ(::sched_setaffinity(0, sizeof here, &here), 0);
  Pair ring = make_pair();
  auto submit = [&](int packets) {
    for (int i = 0; i < packets; ++i) ASSERT_TRUE(ring.forwarder->stage(as_bytes("x"), {}));
    ring.forwarder->publish();
    ASSERT_TRUE(ring.forwarder->prepare_wait());
  };
  auto finish_one = [&] {
    SubmitDescriptor d;
    ASSERT_EQ(ring.container->take({&d, 1}), 1u);
    Completion c{d.slot, d.length, NETSERV_PASS, 0, 0xff, 0, 0};
    ring.container->complete({&c, 1});
    ring.container->flush();
  };
  submit(2);
  finish_one();
  EXPECT_FALSE(readable_now(ring.forwarder->forwarder_event_fd()));
  finish_one();
  EXPECT_TRUE(readable_now(ring.forwarder->forwarder_event_fd()));
  ring.forwarder->end_wait();
  Reaped reaped[2];
  EXPECT_EQ(ring.forwarder->reap(reaped), 2u);

  submit(100);
  int batches = 0;
  while (!readable_now(ring.forwarder->forwarder_event_fd()) && batches < 100) {
    finish_one();
    ++batches;
  }
  EXPECT_LT(batches, 10) << "answers are not held back for long";
  ::sched_setaffinity(0, sizeof before, &before);
}

TEST(Ring, AttachRefusesWhatIsNoRing) {
  auto file = create_ring_file("/dev/shm");
  ASSERT_TRUE(file);
  auto zeros = RingConsumer::attach(*std::move(file), *make_event_fd(), *make_event_fd());
  ASSERT_FALSE(zeros);
  EXPECT_NE(zeros.error().message().find("not a packet ring"), std::string::npos);
  auto small = RingConsumer::attach(*make_event_fd(), *make_event_fd(), *make_event_fd());
  EXPECT_FALSE(small);
  auto nowhere = RingProducer::create("/nonexistent");
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().subject, "/nonexistent");
}

// Sizes and bytes follow from the sequence number; the container echoes each packet inverted.
std::size_t size_of(std::uint64_t n) { return 8 + n * 37 % 1500; }
void fill(std::uint64_t n, std::span<std::byte> out) {
  std::memcpy(out.data(), &n, 8);
  for (std::size_t i = 8; i < out.size(); i += 61) out[i] = std::byte((n + i) & 0xff);
}

void run_container(RingConsumer& ring, std::uint64_t total) {
  std::vector<SubmitDescriptor> batch(64);
  std::vector<Completion> verdicts;
  for (std::uint64_t seen = 0; seen < total;) {
    std::size_t n = ring.take(batch);
    if (n == 0) {
      if (ring.prepare_wait()) wait_readable(ring.wake_fd());
      ring.end_wait();
      continue;
    }
    verdicts.clear();
    for (std::size_t i = 0; i < n; ++i) {
      auto bytes = ring.slot_bytes(batch[i]).first(batch[i].length);
      for (std::byte& b : bytes) b = ~b;
      verdicts.push_back({batch[i].slot, batch[i].length, NETSERV_PASS, 1, 0, 0, 0});
    }
    ring.complete(verdicts);
    ring.flush();
    seen += n;
  }
}

TEST(Ring, TwoThreadsLoseAndMixUpNothing) {
  constexpr std::uint64_t kTotal = 100'000;
  Pair ring = make_pair();
  std::thread container([&] { run_container(*ring.container, kTotal); });
  std::vector<std::uint64_t> sequence(kSlots);
  std::vector<std::byte> expected(kSlotBytes), copy(kSlotBytes);
  std::vector<Reaped> reaped(64);
  std::uint64_t sent = 0, back = 0, wrong = 0;
  while (back < kTotal) {
    for (int i = 0; i < 48 && sent < kTotal; ++i) {
      std::span<std::byte> packet(expected.data(), size_of(sent));
      fill(sent, packet);
      auto slot = ring.forwarder->stage(packet, {});
      if (!slot) break;
      sequence[*slot] = sent++;
    }
    ring.forwarder->publish();
    std::size_t n = ring.forwarder->reap(reaped);
    if (n == 0) {
      if (ring.forwarder->prepare_wait()) {
        if (!wait_readable(ring.forwarder->forwarder_event_fd())) break;
      }
      ring.forwarder->end_wait();
    }
    for (std::size_t i = 0; i < n; ++i) {
      std::uint64_t number = sequence[reaped[i].slot];
      std::span<std::byte> want(expected.data(), size_of(number)), got(copy.data(), size_of(number));
      std::memset(want.data(), 0, want.size());
      std::memset(got.data(), 0, got.size());
      fill(number, want);
      ring.forwarder->copy_out(reaped[i].slot, got);
      for (std::byte& b : got) b = ~b;
      // Bytes that fill() leaves alone hold whatever an earlier packet put there.
      for (std::size_t at = 8; at < got.size(); at += 61) wrong += want[at] != got[at];
      wrong += std::memcmp(want.data(), got.data(), 8) != 0 || reaped[i].length != want.size();
      ring.forwarder->release(reaped[i].slot);
    }
    back += n;
  }
  container.join();
  EXPECT_EQ(back, kTotal);
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(ring.forwarder->free_slots(), kSlots);
  EXPECT_EQ(ring.forwarder->counters().bad_completions, 0u);
  EXPECT_FALSE(ring.forwarder->corrupted());
}

}  // namespace
}  // namespace netserv::ring
