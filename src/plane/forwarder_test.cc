// The forwarder's core: chains, faults, and the books.
#include <random>

#include "plane/forwarder_fixture.h"

namespace netserv::plane {
namespace {

TEST_F(ForwarderTest, VisitsContainersByPriorityThenAgeEachOnce) {
  add(1, note('c'), 5, 1);
  add(2, note('b'), 1, 9);
  add(3, note('a'), 1, 2);
  ipc::ModuleFilter second = all_udp();
  second.slot = ModuleSlot(3);
  set_filters(2, {all_udp(), second});
  inject();
  for (unsigned id : {1u, 2u, 3u, 2u, 1u}) run(id);
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(node(NodeCounter::kProcessedPassed), 1u);
}

TEST_F(ForwarderTest, ASilentContainerIsPassedByUntilItAnswersAgain) {
  add(1, drop);
  inject(3);
  now += milliseconds(49);
  forwarder.check_stalls(now);
  EXPECT_EQ(plane.take_ended().size(), 0u);
  ASSERT_TRUE(forwarder.next_deadline());
  EXPECT_EQ(*forwarder.next_deadline(), now + milliseconds(1));
  now += milliseconds(1);
  forwarder.check_stalls(now);
  check_books();
  EXPECT_EQ(node(NodeCounter::kLostInContainer), 3u);
  for (const auto& e : plane.take_ended()) EXPECT_EQ(e.fate, Fate::kPass);
  inject();
  EXPECT_EQ(node(NodeCounter::kPassedStalled), 1u);

  run(1);  // late: ignored
  EXPECT_EQ(node(NodeCounter::kProcessedDropped), 0u);
  EXPECT_EQ(rings[1]->counters().late_completions, 3u);
  forwarder.check_stalls(now);
  inject();
  run(1);
  EXPECT_EQ(node(NodeCounter::kProcessedDropped), 1u);
  EXPECT_EQ(events.seen, (std::vector<std::string>{"stalled 1 holding 3", "resumed 1"}));
}

TEST_F(ForwarderTest, WhoeverOwesAnswersHasTheWholeTimeFromWhenItIsGiven) {
  add(1, pass);
  inject();
  now += milliseconds(80);
  forwarder.give_time(now);
  forwarder.check_stalls(now);
  EXPECT_EQ(forwarder.in_flight(), 1u);
  EXPECT_EQ(*forwarder.next_deadline(), now + milliseconds(50));
  now += milliseconds(50);
  forwarder.check_stalls(now);
  EXPECT_EQ(events.seen, (std::vector<std::string>{"stalled 1 holding 1"}));
  forwarder.give_time(now);  // a stalled one stays that
  inject();
  EXPECT_EQ(node(NodeCounter::kPassedStalled), 1u);
}

TEST_F(ForwarderTest, FailClosedDropsWhenNoVerdictComes) {
  add(1, pass);
  ipc::ModuleFilter closed = all_udp();
  closed.fail_closed = true;
  set_filters(1, {closed});
  EXPECT_TRUE(forwarder.wanted().at(0).fail_closed);
  inject();
  now += milliseconds(60);
  forwarder.check_stalls(now);
  inject();
  EXPECT_EQ(node(NodeCounter::kDroppedFailClosed), 2u);
  forwarder.set_drain(true);  // the operator's switch comes first
  inject();
  EXPECT_EQ(node(NodeCounter::kPassedDrain), 1u);
  forwarder.set_drain(false);
  configure(1, 0, 0, false);
  inject();
  EXPECT_EQ(node(NodeCounter::kPassedNoMatch), 1u);
  EXPECT_TRUE(forwarder.wanted().empty());
}

TEST_F(ForwarderTest, ANewRingGivesUpWhatTheOldOneHeld) {
  add(1, drop);
  inject(2);
  attach(1, drop);
  check_books();
  EXPECT_EQ(node(NodeCounter::kLostInContainer), 2u);
  inject();
  run(1);
  EXPECT_EQ(node(NodeCounter::kProcessedDropped), 1u);
  inject();
  forwarder.remove(ContainerId(1), now);
  check_books();
  EXPECT_EQ(node(NodeCounter::kLostInContainer), 3u);
  inject();
  EXPECT_EQ(node(NodeCounter::kPassedNoMatch), 1u);
}

TEST_F(ForwarderTest, ACorruptRingIsCutOffAndTheChainGoesOn) {
  add(1, pass, 1);
  add(2, drop, 2);
  inject(2);
  ASSERT_EQ(::ftruncate(rings[1]->file_fd(), 4096), 0);
  inject();  // written to a slot that is no longer there
  forwarder.poll(now);
  run(2);
  EXPECT_EQ(events.seen, (std::vector<std::string>{"corrupted 1"}));
  EXPECT_EQ(of(1, ContainerCounter::kLost), 3u);
  EXPECT_EQ(node(NodeCounter::kProcessedDropped), 3u);
  EXPECT_FALSE(forwarder.has_port(ContainerId(1)));
}

TEST_F(ForwarderTest, AChainHasSixteenContainersTheLastOnesAreLeftOut) {
  for (unsigned id = 1; id <= 18; ++id)  // the first ones last, so that they have to move others out
    add(id, note(static_cast<char>('a' + id)), -static_cast<int>(id));
  inject();
  for (unsigned id = 18; id >= 1; --id) run(id);
  EXPECT_EQ(order, "srqponmlkjihgfed");
  EXPECT_EQ(node(NodeCounter::kChainCut), 2u);
  EXPECT_EQ(node(NodeCounter::kProcessedPassed), 1u);
}

TEST_F(ForwarderTest, AContainerLeftOutOfTheChainHasItsPacketsDroppedIfItAskedForThat) {
  for (unsigned id = 1; id <= 17; ++id) add(id, pass, static_cast<int>(id));
  ipc::ModuleFilter closed = all_udp();
  closed.fail_closed = true;
  set_filters(1, {closed});  // the first one: it is visited
  inject();
  EXPECT_EQ(node(NodeCounter::kDroppedFailClosed), 0u);
  EXPECT_EQ(forwarder.in_flight(), 1u);
  set_filters(17, {closed});
  inject();
  EXPECT_EQ(node(NodeCounter::kDroppedFailClosed), 1u);
  EXPECT_EQ(forwarder.in_flight(), 1u);
}

TEST_F(ForwarderTest, AnAnswerLongerThanThePlanesBufferIsRefused) {
  add(1, [](const ring::SubmitDescriptor& d, std::span<std::byte> bytes, ring::Completion& c) {
    Bytes longer = make_udp({"10.0.1.1", "10.0.2.2", 4000, 5060, "hello, and more"});
    std::ranges::copy(longer, bytes.begin());
    c.changed = true;
    c.length = static_cast<std::uint32_t>(longer.size());
    EXPECT_LT(d.length, c.length);
  });
  const Bytes in = make_udp({"10.0.1.1", "10.0.2.2"});
  forward::Packet p = plane.make(in);
  p.capacity = p.length;
  forwarder.on_packets({&p, 1}, now);
  run(1);
  EXPECT_EQ(of(1, ContainerCounter::kRefusedRoom), 1u);
  EXPECT_EQ(node(NodeCounter::kProcessedPassed), 1u);
  EXPECT_EQ(plane.take_ended().at(0).bytes, in);
}

// A ring whose slots show other bytes each time they are read, as a container can have it.
class RestlessPort final : public forward::ContainerPort {
 public:
  explicit RestlessPort(std::vector<Bytes> shows) : shows_(std::move(shows)) {}
  std::optional<std::uint32_t> stage(ByteSpan, const forward::PortMeta&) override { return std::exchange(staged_, true) ? std::nullopt : std::optional(0u); }
  void publish() override {}
  std::size_t reap(std::span<forward::PortAnswer> out) override {
    if (!std::exchange(staged_, false)) return 0;
    out[0] = {0, static_cast<std::uint32_t>(shows_[0].size()), NETSERV_REPLY, true, false};
    return 1;
  }
  void copy_out(std::uint32_t, std::span<std::byte> to) const override {
    const Bytes& bytes = shows_[std::min(reads_++, shows_.size() - 1)];
    std::copy_n(bytes.begin(), to.size(), to.begin());
  }
  void release(std::uint32_t) override {}
  void abandon(std::uint32_t) override {}
  std::optional<forward::PortEmitted> take_emitted() override { return {}; }
  std::uint64_t heartbeat() const override { return 0; }
  std::string_view corrupt_reason() const override { return {}; }
  void kick() override {}

 private:
  std::vector<Bytes> shows_;
  mutable std::size_t reads_ = 0;
  bool staged_ = false;
};

TEST_F(ForwarderTest, WhatIsSentIsWhatWasLookedAt) {
  configure(1);
  set_filters(1, {all_udp()});
  const Bytes good = make_udp({"10.0.2.2", "10.0.1.1", 5060, 4000}), forged = make_udp({"10.9.9.9", "10.0.1.1", 5060, 4000});
  forwarder.attach(ContainerId(1), std::make_unique<RestlessPort>(std::vector{good, forged}), now);
  inject();
  forwarder.poll(now);
  check_books();
  auto ended = plane.take_ended();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].fate, Fate::kReply);
  EXPECT_EQ(ended[0].bytes, good);
}

TEST_F(ForwarderTest, FullRingAndFullTablePassBy) {
  add(1, pass);
  inject(70);  // the table holds 64
  EXPECT_EQ(node(NodeCounter::kPassedTableFull), 6u);
  run(1);
  EXPECT_EQ(node(NodeCounter::kProcessedPassed), 64u);
}

TEST_F(ForwarderTest, AContainerThatKeepsUsBusyWithNonsenseIsCutOff) {
  add(1, pass);
  auto& ring = containers[1]->ring();
  inject();
  int rounds = 0;  // all at one point in time: nothing refills its account
  for (; forwarder.has_port(ContainerId(1)); ++rounds) {
    ASSERT_LT(rounds, 1000);
    while (ring.emit(ModuleSlot(0), make_udp({"10.0.2.2", "10.0.1.1"}))) {
    }
    ring.flush();
    EXPECT_LE(forwarder.poll(now), 640u);
  }
  EXPECT_LT(of(1, ContainerCounter::kRefusedRate), 11'000u);
  EXPECT_EQ(events.seen, (std::vector<std::string>{"corrupted 1"}));
  EXPECT_EQ(of(1, ContainerCounter::kLost), 1u);  // what it held has been passed on
  attach(1, pass);
  inject();
  run(1);
  EXPECT_EQ(node(NodeCounter::kProcessedPassed), 1u);
}

TEST_F(ForwarderTest, PacketsToReservedAddressesPassBy) {
  add(1, drop);
  forwarder.set_reserved(forward::ReservedAddresses({*Prefix::parse("10.0.2.2")}));
  inject();
  EXPECT_EQ(node(NodeCounter::kPassedReserved), 1u);
  forwarder.set_reserved(forward::ReservedAddresses({*Prefix::parse("10.0.2.0/28")}));
  inject();
  EXPECT_EQ(node(NodeCounter::kPassedReserved), 2u);
  forwarder.set_reserved({});
  inject();
  run(1);
  EXPECT_EQ(node(NodeCounter::kProcessedDropped), 1u);
}

TEST_F(ForwarderTest, BooksBalanceUnderRandomEvents) {
  std::mt19937 random(42);
  for (unsigned id = 1; id <= 3; ++id)
    add(id, [&](const ring::SubmitDescriptor&, std::span<std::byte> bytes, ring::Completion& c) {
      c.verdict = static_cast<std::uint8_t>(random() % 5);
      c.changed = random() % 2;
      c.skipped = random() % 8 == 0;
      if (random() % 4 == 0) c.length = static_cast<std::uint32_t>(random() % 3000);
      bytes[random() % 64] = std::byte(random() & 0xff);
    }, static_cast<int>(random() % 2), id);
  for (int step = 0; step < 20'000; ++step) {
    unsigned id = 1 + random() % 3;
    switch (random() % 12) {
      case 0: case 1: case 2: case 3: inject(1 + static_cast<int>(random() % 5)); break;
      case 4: case 5: case 6: run(id); break;
      case 7: now += milliseconds(random() % 30); forwarder.check_stalls(now); break;
      case 8: if (random() % 20 == 0) attach(id, [](auto&, auto, ring::Completion& c) { c.verdict = NETSERV_STEAL; }); break;
      case 9: if (random() % 20 == 0) configure(id, static_cast<int>(random() % 3), id, random() % 3 != 0); break;
      case 10: if (random() % 50 == 0) forwarder.set_drain(random() % 2); break;
      default: if (random() % 100 == 0) { forwarder.remove(ContainerId(id), now); add(id, drop, 0, id); }
    }
    check_books();
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace netserv::plane
