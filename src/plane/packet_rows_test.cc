#include "plane/packet_rows.h"

#include <gtest/gtest.h>

#include "forward/forwarder.h"
#include "plane/fake/fake_plane.h"
#include "plane/ring_port.h"
#include "plane/scripted_container.h"

namespace netserv::plane {
namespace {

void act(const RowModule& module, std::span<std::byte> bytes, ring::Completion& c) {
  c.verdict = module.verdict;
  c.changed = module.changed;
  if (module.rewritten.empty()) return;
  std::ranges::copy(module.rewritten, bytes.begin());
  c.length = static_cast<std::uint32_t>(module.rewritten.size());
}

TEST(PacketRows, FakePlane) {
  for (const PacketRow& row : packet_rows()) {
    SCOPED_TRACE(row.description);
    FakePlane plane;
    forward::ForwarderEvents events;
    forward::Forwarder forwarder(plane, events);
    std::vector<std::unique_ptr<ScriptedContainer>> containers;
    TimePoint now{};
    for (std::uint32_t i = 0; i < row.chain.size(); ++i) {
      const RowModule& module = row.chain[i];
      ipc::ConfigureContainer config;
      config.container = ContainerId(i + 1);
      config.priority = static_cast<std::int32_t>(i);
      config.authorised = {*Prefix::parse("10.0.2.0/24"), *Prefix::parse("2001:db8:2::/48")};
      config.emit_packets_per_second = 1000;
      forwarder.configure(config);
      if (!module.absent) {
        auto port = std::make_unique<RingPort>(*ring::RingProducer::create("/dev/shm"));
        containers.push_back(ScriptedContainer::attach(
            port->ring(), [&module](const ring::SubmitDescriptor&, std::span<std::byte> bytes,
                                    ring::Completion& c) { act(module, bytes, c); }));
        forwarder.attach(config.container, std::move(port), now);
      }
      ipc::ModuleFilter filter;
      filter.filter = module.filter;
      filter.fail_closed = module.fail_closed;
      ASSERT_TRUE(forwarder.set_filters(config.container, {filter}));
    }
    forward::Packet packet = plane.make(row.input);
    forwarder.on_packets({&packet, 1}, now);
    for (std::size_t round = 0; round <= row.chain.size(); ++round) {
      for (auto& container : containers) container->run_once();
      forwarder.poll(now);
    }
    auto ended = plane.take_ended();
    ASSERT_EQ(ended.size(), 1u);
    EXPECT_EQ(ended[0].fate, row.fate);
    if (!row.output.empty()) {
      EXPECT_EQ(to_hex(ended[0].bytes), to_hex(row.output));
    }
    auto counters = forwarder.counters().named();
    EXPECT_EQ(counters.at(row.counter), 1u);
    EXPECT_EQ(forward::ended(forwarder.counters()), 1u);
    EXPECT_EQ(plane.held(), 0u);
  }
}

}  // namespace
}  // namespace netserv::plane
