// The packet table (plane/packet_rows.h) on the real planes: what a row says of the fake plane must be seen on the wire.
//
// Where a live plane differs, with the reason:
//   - What the kernel's rules or the XDP program leave alone (no match, fragments, signalling) may never be counted.
//   - A packet with a broken header is the kernel's to refuse: nothing arrives.
//   - "Longer than a slot" does not fit the MTU of these links and is not sent.
//   - Containers always have a ring here; an absent one does not answer: the packet is counted as lost in it.
#include "live_plane.h"
#include "plane/packet_rows.h"

namespace netserv::test {
namespace {

using forward::Fate;
using plane::PacketRow;
using plane::RowModule;

class LiveRows : public LivePlane {
 protected:
  // An absent container is to stall, and no other.
  std::vector<std::string> limits() override { return {"--stall-ms", "2000", "--heartbeat-ms", "20000"}; }
  void SetUp() override {
    LivePlane::SetUp();
    router.run("ip", {"route", "add", "10.0.3.0/24", "via", Router::kServer});
    ethernet = router.towards_router();
    at_client = router.client_frames();
    at_server = router.server_frames();
    send(client, "neighbours are looked for");
    receive(server);
    send(client6, "neighbours are looked for");
    receive(server6);
  }
  void set_up(const PacketRow& row) {
    for (std::uint32_t i = 0; i < row.chain.size(); ++i) {
      const RowModule& module = row.chain[i];
      ipc::ConfigureContainer config;
      config.container = ContainerId(i + 1);
      config.priority = static_cast<std::int32_t>(i);
      config.authorised = {*Prefix::parse("10.0.2.0/24"), *Prefix::parse("2001:db8:2::/48")};
      config.emit_packets_per_second = 1000;
      tell(config);
      answer<ipc::ContainerRing>();
      auto ring = ring::RingConsumer::attach(std::move(datagram.fds[0]), std::move(datagram.fds[1]),
                                             std::move(datagram.fds[2]));
      ASSERT_TRUE(ring);
      if (!module.absent) {
        auto act = [&module](const ring::SubmitDescriptor&, std::span<std::byte> bytes, ring::Completion& c) {
          c.verdict = module.verdict;
          c.changed = module.changed;
          if (module.rewritten.empty()) return;
          std::ranges::copy(module.rewritten, bytes.begin());
          c.length = static_cast<std::uint32_t>(module.rewritten.size());
        };
        containers.push_back(std::make_unique<plane::ScriptedContainer>(*std::move(ring), act));
      }
      ipc::SetFilters set;
      set.container = config.container;
      set.filters.push_back({module.filter, ModuleSlot(0), module.fail_closed, false, 0, 1});
      tell(set);
      ASSERT_EQ(answer<ipc::FiltersSet>().error, "");
    }
  }
  void take_down(const PacketRow& row) {
    for (std::uint32_t i = 0; i < row.chain.size(); ++i) tell(ipc::RemoveContainer{ContainerId(i + 1)});
    containers.clear();
  }
  void run_containers() {
    for (auto& each : containers) {
      each->run_once();
      each->ring().prepare_wait();
    }
    ::usleep(500);
  }
  // Whether `packet` has come; all that came before it is read too.
  static bool arrived(const sys::UniqueFd& at, const Bytes& packet) {
    std::array<std::byte, 4096> frame;
    for (ssize_t n; (n = ::recv(at.get(), frame.data(), frame.size(), 0)) > 0;) {
      ByteSpan bytes = ByteSpan(frame).first(static_cast<std::size_t>(n));
      if (bytes.size() < 14 + packet.size()) continue;
      if (std::ranges::equal(bytes.subspan(14, packet.size()), packet)) return true;
    }
    return false;
  }

  Bytes ethernet;
  sys::UniqueFd at_client, at_server;
  std::vector<std::unique_ptr<plane::ScriptedContainer>> containers;
};

TEST_P(LiveRows, AgreeWithTheFakePlane) {
  for (const PacketRow& row : plane::packet_rows()) {
    SCOPED_TRACE(row.description);
    if (row.input.size() > 1500) continue;
    set_up(row);
    if (HasFatalFailure()) return;
    auto before = stats();
    Bytes frame = ethernet;
    bool v6 = std::to_integer<unsigned>(row.input[0]) >> 4 == 6;
    frame.push_back(std::byte(v6 ? 0x86 : 0x08)), frame.push_back(std::byte(v6 ? 0xdd : 0x00));
    frame.insert(frame.end(), row.input.begin(), row.input.end());
    ASSERT_EQ(::send(at_client.get(), frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()));

    Bytes expected = row.output.empty() ? row.input : row.output;
    if (row.fate != Fate::kReply) {
      ASSERT_TRUE(decrement_ttl(expected));
    }
    bool sound = parse_packet(row.input).has_value();
    if (sound && row.fate != Fate::kDrop)
      until([&] { return run_containers(), arrived(row.fate == Fate::kReply ? at_client : at_server, expected); });
    std::string counter = row.counter == "passed_by_absent" ? "lost_in_container" : row.counter;
    bool kernels_own = row.counter.starts_with("passed_by_") && row.counter != "passed_by_absent";
    auto after = stats();
    if (!kernels_own) until([&] { return run_containers(), (after = stats())[counter] == before[counter] + 1; });
    EXPECT_EQ(after["packets_in"] - before["packets_in"], after[counter] - before[counter]);
    if (row.fate == Fate::kDrop) {
      EXPECT_FALSE(arrived(at_server, expected));
    }
    EXPECT_EQ(after["xdp_frames_missing"], 0u);
    take_down(row);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Planes, LiveRows, ::testing::Values("netfilter", "xdp"), plane_name);

}  // namespace
}  // namespace netserv::test
