// The forwarder's core and observers: who gets copies, how much of them, and what is said of those lost.
#include <numeric>

#include "plane/forwarder_fixture.h"

namespace netserv::plane {
namespace {

TEST_F(ForwarderTest, ObserversGetCutAndSampledCopies) {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> copies;
  add(1, [&](const ring::SubmitDescriptor& d, std::span<std::byte>, ring::Completion& c) {
    copies.emplace_back(d.length, d.flags);
    c.verdict = NETSERV_DROP;  // has no effect
  });
  ipc::ModuleFilter observer = all_udp_observed();
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
  set_filters(1, {all_udp_observed()});
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
  set_filters(1, {all_udp_observed()});
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

}  // namespace
}  // namespace netserv::plane
