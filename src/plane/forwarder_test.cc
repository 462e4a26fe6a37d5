// The forwarder's core with real rings and containers that are run by hand: chains, faults, and the books.
#include "forward/forwarder.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <random>

#include "plane/fake/fake_plane.h"
#include "plane/ring_port.h"
#include "plane/scripted_container.h"
#include "plane/test_packets.h"

namespace netserv::plane {
namespace {

using forward::ContainerCounter;
using forward::Fate;
using forward::NodeCounter;
using std::chrono::milliseconds;

struct Recorder : forward::ForwarderEvents {
  std::vector<std::string> seen;
  void on_stalled(ContainerId id, std::uint32_t n) override {
    seen.push_back("stalled " + std::to_string(id.value()) + " holding " + std::to_string(n));
  }
  void on_resumed(ContainerId id) override { seen.push_back("resumed " + std::to_string(id.value())); }
  void on_corrupted(ContainerId id, std::string_view) override {
    seen.push_back("corrupted " + std::to_string(id.value()));
  }
};

class ForwarderTest : public ::testing::Test {
 protected:
  void configure(unsigned id, int priority = 0, std::uint64_t age = 0, bool enabled = true) {
    ipc::ConfigureContainer c;
    c.container = ContainerId(id);
    c.priority = priority;
    c.age = age;
    c.authorised = {*Prefix::parse("10.0.2.0/24")};
    c.emit_packets_per_second = 1000;
    c.enabled = enabled;
    forwarder.configure(c);
  }
  void attach(unsigned id, ScriptedContainer::Script script) {
    auto port = std::make_unique<RingPort>(*ring::RingProducer::create("/dev/shm"));
    rings[id] = &port->ring();
    containers[id] = ScriptedContainer::attach(port->ring(), std::move(script));
    forwarder.attach(ContainerId(id), std::move(port), now);
  }
  void add(unsigned id, ScriptedContainer::Script script, int priority = 0, std::uint64_t age = 0) {
    configure(id, priority, age);
    attach(id, std::move(script));
    set_filters(id, {all_udp()});
  }
  static ipc::ModuleFilter all_udp() {
    ipc::ModuleFilter f;
    f.filter.protocol = kProtocolUdp;
    return f;
  }
  void set_filters(unsigned id, std::vector<ipc::ModuleFilter> filters) {
    ASSERT_TRUE(forwarder.set_filters(ContainerId(id), std::move(filters)));
  }
  void inject(int n = 1) {
    for (int i = 0; i < n; ++i) {
      forward::Packet p = plane.make(make_udp({"10.0.1.1", "10.0.2.2"}), static_cast<std::uint64_t>(now.time_since_epoch().count()));
      forwarder.on_packets({&p, 1}, now);
    }
    check_books();
  }
  void run(unsigned id) {
    while (containers[id]->run_once() > 0) {
    }
    forwarder.poll(now);
    check_books();
  }
  void check_books() {
    const auto& c = forwarder.counters();
    ASSERT_EQ(c[NodeCounter::kPacketsIn], forwarder.in_flight() + forward::ended(c));
    ASSERT_EQ(plane.held(), forwarder.in_flight());
    for (ContainerId id : forwarder.containers()) {
      const auto& cc = *forwarder.counters(id);
      ASSERT_EQ(cc[ContainerCounter::kSubmitted], forwarder.in_flight(id) + forward::ended(cc));
    }
  }
  std::uint64_t node(NodeCounter c) const { return forwarder.counters()[c]; }
  std::uint64_t of(unsigned id, ContainerCounter c) const { return (*forwarder.counters(ContainerId(id)))[c]; }

  static void pass(const ring::SubmitDescriptor&, std::span<std::byte>, ring::Completion&) {}
  static void drop(const ring::SubmitDescriptor&, std::span<std::byte>, ring::Completion& c) {
    c.verdict = NETSERV_DROP;
  }
  ScriptedContainer::Script note(char name) {
    return [this, name](const ring::SubmitDescriptor&, std::span<std::byte>, ring::Completion&) { order += name; };
  }

  TimePoint now{milliseconds(1000)};
  FakePlane plane;
  Recorder events;
  forward::Forwarder forwarder{plane, events, {64, milliseconds(50)}};
  std::map<unsigned, ring::RingProducer*> rings;
  std::map<unsigned, std::unique_ptr<ScriptedContainer>> containers;
  std::string order;
};

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

TEST_F(ForwarderTest, ObserversGetCutAndSampledCopies) {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> copies;
  add(1, [&](const ring::SubmitDescriptor& d, std::span<std::byte>, ring::Completion& c) {
    copies.emplace_back(d.length, d.flags);
    c.verdict = NETSERV_DROP;  // has no effect
  });
  ipc::ModuleFilter observer = all_udp();
  observer.observer = true;
  observer.snap_length = 24;
  observer.sample_one_in = 3;
  set_filters(1, {observer});
  inject(7);
  EXPECT_EQ(node(NodeCounter::kPassedObserved), 7u);
  run(1);
  ASSERT_EQ(copies.size(), 3u);
  EXPECT_EQ(copies[0].first, 24u);
  EXPECT_EQ(copies[0].second, NETSERV_FLAG_COPY | NETSERV_FLAG_TRUNCATED);
  EXPECT_EQ(of(1, ContainerCounter::kCopiesSampledOut), 4u);
  for (const auto& e : plane.take_ended()) EXPECT_EQ(e.fate, Fate::kPass);
}

TEST_F(ForwarderTest, AnObserverIsToldHowManyCopiesItDidNotGet) {
  std::vector<std::uint32_t> lost;
  add(1, [&](const ring::SubmitDescriptor& d, std::span<std::byte>, ring::Completion&) { lost.push_back(d.lost); });
  ipc::ModuleFilter observer = all_udp();
  observer.observer = true;
  set_filters(1, {observer});
  inject(600);  // the ring has 512 slots
  EXPECT_EQ(of(1, ContainerCounter::kCopiesLost), 88u);
  while (lost.size() < 512) run(1);
  inject(2);
  run(1);
  ASSERT_EQ(lost.size(), 514u);
  EXPECT_EQ(std::accumulate(lost.begin(), lost.end(), 0u), 88u);
  EXPECT_EQ(lost[512], 88u);
  forwarder.on_copies_lost(7);  // by the plane
  inject(1);
  run(1);
  EXPECT_EQ(lost.back(), 7u);
}

// Of what the plane has forwarded itself, as of what comes this way.
TEST_F(ForwarderTest, ObserversGetNoCopiesOfWhatIsNoModulesBusiness) {
  std::vector<std::uint32_t> copies;
  add(1, [&](const ring::SubmitDescriptor& d, std::span<std::byte>, ring::Completion&) { copies.push_back(d.original_length); });
  ipc::ModuleFilter observer = all_udp();
  observer.observer = true;
  set_filters(1, {observer});
  forwarder.set_reserved(forward::ReservedAddresses({*Prefix::parse("10.0.2.9")}));
  auto copies_of = [&](Bytes bytes) {
    forward::Packet copy;
    copy.data = bytes.data();
    copy.original_length = static_cast<std::uint32_t>(bytes.size());
    copy.length = copy.capacity = 40;  // cut
    copies.clear();
    forwarder.on_copies({&copy, 1}, 1, now);
    run(1);
    return copies;
  };
  const std::string long_payload(100, 'x');
  UdpSpec spec{"10.0.1.1", "10.0.2.2", 4000, 5060, long_payload};
  EXPECT_EQ(copies_of(make_udp(spec)), std::vector<std::uint32_t>{128});
  spec.to_port = 270;
  EXPECT_TRUE(copies_of(make_udp(spec)).empty()) << "signalling";
  spec.to_port = 5060, spec.to = "10.0.2.9";
  EXPECT_TRUE(copies_of(make_udp(spec)).empty()) << "reserved";
  spec.to = "10.0.2.2", spec.more_fragments = true;
  EXPECT_TRUE(copies_of(make_udp(spec)).empty()) << "fragment";
  spec.more_fragments = false;
  forwarder.set_drain(true);
  EXPECT_TRUE(copies_of(make_udp(spec)).empty()) << "draining";
  forwarder.set_drain(false);
  configure(1, 0, 0, false);
  EXPECT_TRUE(copies_of(make_udp(spec)).empty()) << "disabled";
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

TEST_F(ForwarderTest, EmittedPacketsAreCheckedAndRateLimited) {
  add(1, pass);
  auto& ring = containers[1]->ring();
  ASSERT_TRUE(ring.emit(ModuleSlot(0), make_udp({"10.0.2.2", "10.0.1.1"})));
  ASSERT_TRUE(ring.emit(ModuleSlot(0), make_udp({"10.0.9.9", "10.0.1.1"})));
  ASSERT_TRUE(ring.emit(ModuleSlot(0), Bytes(5)));
  ring.flush();
  forwarder.poll(now);
  EXPECT_EQ(plane.take_sent().size(), 1u);
  EXPECT_EQ(of(1, ContainerCounter::kRefusedSource), 1u);
  EXPECT_EQ(of(1, ContainerCounter::kRefusedUnparsable), 1u);
  for (int i = 0; i < 120; ++i) ring.emit(ModuleSlot(0), make_udp({"10.0.2.2", "10.0.1.1"}));
  ring.flush();
  forwarder.poll(now);
  EXPECT_EQ(plane.take_sent().size(), 97u);  // burst of 100, three tokens spent
  EXPECT_EQ(of(1, ContainerCounter::kRefusedRate), 23u);
}

TEST_F(ForwarderTest, WhatAContainerSendsIsHeldToItsBandwidth) {
  // Replies with the packet as it is, longer by what the test says.
  std::uint32_t grows = 0;
  std::uint8_t verdict = NETSERV_REPLY;
  add(1, [&](const ring::SubmitDescriptor& d, std::span<std::byte> bytes, ring::Completion& c) {
    Bytes longer = make_udp({"10.0.2.2", "10.0.1.1"});
    if (verdict == NETSERV_PASS) longer.assign(bytes.begin(), bytes.begin() + d.length);
    longer.resize(longer.size() + grows);
    std::ranges::copy(longer, bytes.begin());
    c.verdict = verdict;
    c.changed = true;
    c.length = static_cast<std::uint32_t>(longer.size());
  });
  const std::size_t size = make_udp({"10.0.2.2", "10.0.1.1"}).size();
  ipc::ConfigureContainer config;
  config.container = ContainerId(1);
  config.authorised = {*Prefix::parse("10.0.2.0/24")};
  config.emit_packets_per_second = 1'000'000;
  config.send_bytes_per_second = 1000;
  forwarder.configure(config);
  const std::size_t burst = forward::kPortSlotBytes / size;
  for (std::size_t n = 0; n < burst + 5; ++n) {
    inject();
    run(1);
  }
  EXPECT_EQ(node(NodeCounter::kProcessedReplied), burst);
  EXPECT_EQ(of(1, ContainerCounter::kRefusedBandwidth), 5u);
  EXPECT_EQ(node(NodeCounter::kProcessedPassed), 5u);  // left as they came

  ASSERT_TRUE(containers[1]->ring().emit(ModuleSlot(0), make_udp({"10.0.2.2", "10.0.1.1"})));
  containers[1]->ring().flush();
  forwarder.poll(now);
  EXPECT_TRUE(plane.take_sent().empty());
  EXPECT_EQ(of(1, ContainerCounter::kRefusedBandwidth), 6u);

  // A change is the module's only in what it adds.
  verdict = NETSERV_PASS;
  inject();
  run(1);
  EXPECT_EQ(node(NodeCounter::kProcessedChanged), 1u);
  grows = 1000;
  inject();
  run(1);
  EXPECT_EQ(of(1, ContainerCounter::kRefusedBandwidth), 7u);
  now += std::chrono::seconds(1);
  verdict = NETSERV_REPLY;
  grows = 0;
  inject();
  run(1);
  EXPECT_EQ(node(NodeCounter::kProcessedReplied), burst + 1);
}

TEST_F(ForwarderTest, WhatIsEmittedWhileDrainingIsTakenAndNotSent) {
  add(1, pass);
  auto& ring = containers[1]->ring();
  forwarder.set_drain(true);
  ASSERT_TRUE(ring.emit(ModuleSlot(0), make_udp({"10.0.2.2", "10.0.1.1"})));
  ring.flush();
  EXPECT_FALSE(rings[1]->prepare_wait());
  forwarder.poll(now);
  EXPECT_TRUE(rings[1]->prepare_wait());  // left there, it would keep the forwarder awake
  forwarder.set_drain(false);
  configure(1, 0, 0, false);
  ASSERT_TRUE(ring.emit(ModuleSlot(0), make_udp({"10.0.2.2", "10.0.1.1"})));
  ring.flush();
  forwarder.poll(now);
  EXPECT_TRUE(rings[1]->prepare_wait());
  EXPECT_TRUE(plane.take_sent().empty());
  EXPECT_EQ(of(1, ContainerCounter::kRefusedDisabled), 2u);
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
