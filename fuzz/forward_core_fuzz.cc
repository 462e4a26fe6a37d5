// Target: the forwarder's core with arbitrary packets, and arbitrary answers to them. Each packet leaves once, what
// leaves changed is sound, and the counters add up.
#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "base/bytes.h"
#include "forward/forwarder.h"

using namespace netserv;
using namespace netserv::forward;

namespace {

// A container that answers what the fuzzer says, and holds slots like a ring.
struct Port final : ContainerPort {
  std::deque<std::uint32_t> waiting;
  std::array<bool, kPortSlots> used{};
  std::vector<PortAnswer> answers;
  Bytes contents;
  std::optional<Bytes> emitted;
  Bytes given;
  std::uint64_t beats = 0;

  std::optional<std::uint32_t> stage(ByteSpan packet, const PortMeta&) override {
    NETSERV_CHECK(packet.size() <= kPortSlotBytes);
    for (std::uint32_t slot = 0; slot < kPortSlots; ++slot) {
      if (used[slot]) continue;
      used[slot] = true;
      waiting.push_back(slot);
      return slot;
    }
    return {};
  }
  void publish() override {}
  std::size_t reap(std::span<PortAnswer> out) override {
    std::size_t n = std::min(out.size(), answers.size());
    std::copy_n(answers.begin(), n, out.begin());
    answers.erase(answers.begin(), answers.begin() + static_cast<long>(n));
    return n;
  }
  void copy_out(std::uint32_t, std::span<std::byte> to) const override {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = i < contents.size() ? contents[i] : std::byte{0};
  }
  void release(std::uint32_t slot) override { used[slot] = false; }
  void abandon(std::uint32_t slot) override {
    std::erase(waiting, slot);
    std::erase_if(answers, [&](const PortAnswer& a) { return a.slot == slot; });
    used[slot] = false;
  }
  std::optional<PortEmitted> take_emitted() override {
    if (!emitted) return {};
    given = *std::exchange(emitted, {});
    return PortEmitted{given, ModuleSlot(0)};
  }
  std::uint64_t heartbeat() const override { return beats; }
  std::string_view corrupt_reason() const override { return {}; }
  void kick() override {}
};

struct Plane final : PacketPlane {
  std::deque<std::array<std::byte, 4096>> buffers;
  std::vector<bool> out;
  std::uint64_t ended = 0;
  void finish(std::span<const Outcome> outcomes) override {
    for (const Outcome& o : outcomes) {
      NETSERV_CHECK(!out[o.cookie]);
      out[o.cookie] = true;
      ++ended;
      if (o.fate != Fate::kPassChanged && o.fate != Fate::kReply) continue;
      auto headers = parse_packet(ByteSpan(o.data, o.length));
      NETSERV_CHECK(headers && headers->total_length == o.length);
    }
  }
  bool send(ByteSpan packet) override {
    NETSERV_CHECK(parse_packet(packet).has_value());
    return true;
  }
  void flush() override {}
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Plane plane;
  ForwarderEvents events;
  Forwarder forwarder(plane, events, {32, std::chrono::milliseconds(50)});
  std::array<Port*, 2> ports{};
  TimePoint now{};
  for (std::uint32_t i = 0; i < 2; ++i) {
    ipc::ConfigureContainer config;
    config.container = ContainerId(i);
    config.authorised = {Prefix(IpAddress::v4(0x0a000000), 8), Prefix(*IpAddress::parse("2001:db8::"), 32)};
    config.emit_packets_per_second = 1000;
    forwarder.configure(config);
    auto port = std::make_unique<Port>();
    ports[i] = port.get();
    forwarder.attach(config.container, std::move(port), now);
    ipc::ModuleFilter everything, observer;
    observer.observer = true;
    observer.snap_length = 20;
    NETSERV_CHECK(forwarder.set_filters(config.container, {everything, observer}).has_value());
  }
  ByteReader in(ByteSpan(reinterpret_cast<const std::byte*>(data), size));
  while (in.remaining() > 0) {
    std::uint8_t step = in.u8();
    Port& port = *ports[step >> 7];
    switch (step % 5) {
      case 0:
      case 1: {
        auto& buffer = plane.buffers.emplace_back();
        plane.out.push_back(false);
        ByteSpan bytes = in.take(std::min<std::size_t>(in.u8(), in.remaining()));
        std::copy(bytes.begin(), bytes.end(), buffer.begin());
        auto length = static_cast<std::uint32_t>(bytes.size());
        Packet packet{plane.buffers.size() - 1, buffer.data(), length, 4096, length, 1, 0xffff, 0};
        forwarder.on_packets({&packet, 1}, now);
        break;
      }
      case 2:
        if (!port.waiting.empty()) {
          PortAnswer a{port.waiting.front(), 0, static_cast<std::uint8_t>(in.u8() % 4), in.u8() % 2 == 1, in.u8() % 4 == 0};
          port.waiting.pop_front();
          ByteSpan contents = in.take(std::min<std::size_t>(in.u8(), in.remaining()));
          port.contents.assign(contents.begin(), contents.end());
          a.length = 1 + in.u8() * 8u;
          a.length = std::min(a.length, kPortSlotBytes);
          port.answers.push_back(a);
          ++port.beats;
        }
        forwarder.poll(now);
        break;
      case 3: {
        ByteSpan bytes = in.take(std::min<std::size_t>(in.u8(), in.remaining()));
        port.emitted = Bytes(bytes.begin(), bytes.end());
        forwarder.poll(now);
        break;
      }
      default:
        now += std::chrono::milliseconds(in.u8());
        forwarder.check_stalls(now);
    }
    NETSERV_CHECK(forwarder.counters()[NodeCounter::kPacketsIn] == ended(forwarder.counters()) + forwarder.in_flight());
    NETSERV_CHECK(plane.ended == ended(forwarder.counters()));
  }
  return 0;
}
