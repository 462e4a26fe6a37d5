// Modules that only watch: copies come, cut and sampled as asked, and no packet waits for anyone.
#include "live_plane.h"

#include <atomic>
#include <thread>

namespace netserv::test {
namespace {

class LiveObservers : public LivePlane {
 protected:
  struct Seen {
    ring::SubmitDescriptor descriptor;
    std::string text;  // payload, as far as it was copied
  };
  void SetUp() override {
    LivePlane::SetUp();
    ipc::ConfigureContainer config;
    config.container = ContainerId(1);
    config.publisher = "alice";
    tell(config);
    answer<ipc::ContainerRing>();
    auto ring = ring::RingConsumer::attach(std::move(datagram.fds[0]), std::move(datagram.fds[1]),
                                           std::move(datagram.fds[2]));
    ASSERT_TRUE(ring);
    watcher = std::make_unique<plane::ScriptedContainer>(
        *std::move(ring), [this](const ring::SubmitDescriptor& d, std::span<std::byte> bytes, ring::Completion& c) {
          std::size_t headers = std::to_integer<unsigned>(bytes[0]) >> 4 == 4 ? 28 : 48;
          auto packet = ByteSpan(bytes).first(d.length);
          seen.push_back({d, std::string(as_text(packet.subspan(std::min(headers, packet.size()))))});
          c.verdict = NETSERV_DROP;  // has no effect
        });
  }
  void watch(std::vector<ipc::ModuleFilter> filters) {
    tell(ipc::SetFilters{ContainerId(1), 1, std::move(filters)});
    ASSERT_EQ(answer<ipc::FiltersSet>().error, "");
  }
  ipc::ModuleFilter observer(Filter filter, std::uint16_t snap_length, std::uint32_t one_in) {
    return {filter, ModuleSlot(3), false, true, snap_length, one_in};
  }
  // The container's counters.
  std::map<std::string, std::uint64_t> copies() {
    tell(ipc::GetForwarderStats{});
    return answer<ipc::ForwarderStats>().containers.at(0).counters;
  }
  void see(std::size_t number) {
    until([&] { return watcher->run_once(), seen.size() >= number; });
  }

  std::unique_ptr<plane::ScriptedContainer> watcher;
  std::vector<Seen> seen;
};

TEST_P(LiveObservers, GetCopiesCutAsAskedInBothIpVersions) {
  watch({observer(sip, 30, 1), observer(sip6, 0, 1)});
  for (auto [from, at] : {std::pair(&client, &server), std::pair(&client6, &server6)}) {
    send(*from, "drop this");
    until([&] { return watcher->run_once(), receive(*at, MSG_DONTWAIT) == "drop this"; });
  }
  see(2);
  ASSERT_EQ(seen.size(), 2u);
  std::ranges::sort(seen, {}, [](const Seen& s) { return s.descriptor.original_length; });
  EXPECT_EQ(seen[0].text, "dr");
  EXPECT_EQ(seen[0].descriptor.original_length, 37u);
  EXPECT_EQ(seen[0].descriptor.flags, NETSERV_FLAG_COPY | NETSERV_FLAG_TRUNCATED);
  EXPECT_EQ(seen[1].text, "drop this");
  EXPECT_EQ(seen[1].descriptor.flags, NETSERV_FLAG_COPY);
  EXPECT_EQ(seen[1].descriptor.modules, 8u);
  auto s = stats();
  EXPECT_EQ(s["observer_copies"], 2u);
  EXPECT_EQ(s["packets_in"] + s["observer_copies_lost"] + s["observer_copies_malformed"], 0u);
}

TEST_P(LiveObservers, AnObserverThatDoesNothingHoldsNothingUp) {
  watch({observer(sip, 0, 1)});
  for (int i = 0; i < 600; ++i) {  // more than its ring holds
    send(client, "plain");
    ASSERT_EQ(receive(server), "plain");
  }
  until([&] { return copies()["copies_lost"] + copies()["copies"] >= 600; });
  EXPECT_GT(copies()["copies_lost"], 0u);
}

// They wait with the kernel for an observer that gets on.
TEST_P(LiveObservers, NoneIsLostOfABurstThatARingCannotHold) {
  watch({observer(sip, 64, 1)});
  make_room_at_the_server();
  stop(forwarder);
  std::uint64_t arrived = 0;
  for (int i = 0; i < 3000; ++i) send(client, "plain");
  until([&] {
    const std::uint64_t before = arrived;
    while (receive(server, MSG_DONTWAIT) == "plain") ++arrived;
    return arrived > 0 && arrived == before;
  });
  ::kill(forwarder, SIGCONT);
  std::atomic<bool> enough = false;
  std::thread observing([&] {
    while (!enough) watcher->run_once();
  });
  std::map<std::string, std::uint64_t> c;
  until([&] {
    c = copies();
    return c["copies"] + c["copies_lost"] >= arrived;
  });
  enough = true;
  observing.join();
  EXPECT_EQ(c["copies_lost"], 0u);
  EXPECT_GT(arrived, 2u * 512);
}

TEST_P(LiveObservers, GetSampledCopies) {
  watch({observer(sip, 64, 10)});
  for (int i = 0; i < 1000; ++i) {
    send(client, "plain");
    ASSERT_EQ(receive(server), "plain");
  }
  see(40);
  watch({});
  send(client, "plain");
  auto s = stats();
  EXPECT_GT(s["observer_copies"], 40u);
  EXPECT_LT(s["observer_copies"], 200u);
  EXPECT_EQ(s["packets_in"], 0u);
}

// One module has the packets in its path, another watches: the copies are made on the way.
TEST_P(LiveObservers, WatchWhatOthersHaveInTheirPath) {
  auto in_path = observer(sip, 0, 1);
  in_path.observer = false;
  in_path.slot = ModuleSlot(0);
  watch({observer(sip, 0, 1), in_path});
  send(client, "plain");
  see(2);
  EXPECT_EQ(seen[0].text, "plain");
  EXPECT_EQ(seen[1].text, "plain");
  auto s = stats();
  EXPECT_EQ(s["packets_in"], 1u);
  EXPECT_EQ(s["observer_copies"], 0u);
}

TEST_P(LiveObservers, CopiesThatDoNotFitAreCountedAndTold) {
  watch({observer(sip, 0, 1)});
  std::map<std::string, std::uint64_t> s;
  until([&] {  // a busy machine may lose packets before they are copied
    stop(forwarder);
    std::string big(1400, 'x');
    for (int i = 0; i < 40'000; ++i) send(client, big);
    EXPECT_EQ(receive(server), big);  // it waited for nobody
    ::kill(forwarder, SIGCONT);
    for (int i = 0; i < 100; ++i) {  // a loss shows when the next copy comes
      send(client, "one more");
      watcher->run_once();
      if ((s = stats())["observer_copies_lost"] > 0) return true;
    }
    return false;
  });
  until([&] {
    send(client, "one more");
    watcher->run_once();
    return std::ranges::any_of(seen, [&](const Seen& c) { return c.descriptor.lost >= s["observer_copies_lost"]; });
  });
}

INSTANTIATE_TEST_SUITE_P(Planes, LiveObservers, ::testing::Values("netfilter", "xdp"), plane_name);

}  // namespace
}  // namespace netserv::test
