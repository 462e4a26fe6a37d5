// The forwarder's core and what containers send of their own: checked, and held to its allowance.
#include "plane/forwarder_fixture.h"

namespace netserv::plane {
namespace {

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

}  // namespace
}  // namespace netserv::plane
