// A runtime and surroundings in memory: modules are std::functions, the clock is a variable.
#pragma once

#include <functional>
#include <map>

#include "base/bytes.h"
#include "dispatch/dispatcher.h"

namespace netserv::dispatch {

struct FakeBehaviour {
  bool packets = true;
  std::function<Module::Run(std::span<PacketView>)> process = [](auto) { return Module::Run{}; };
  std::function<Module::Run(std::uint32_t)> timer = [](auto) { return Module::Run{}; };
  std::function<Status(ModuleHost&, ModuleSlot)> start = [](auto&, auto) { return Status{}; };
  int loads = 0, stops = 0, alive = 0;
  std::map<std::string, std::string> properties;
};

inline tl::unexpected<Trap> trap(std::string text) {
  return tl::unexpected<Trap>(Trap{Trap::Kind::kUnreachable, std::move(text)});
}

class FakeRuntime final : public ModuleRuntime {
 public:
  std::map<std::string, FakeBehaviour> behaviours;  // by module id

  std::string_view name() const override { return "fake"; }
  Result<std::unique_ptr<Module>> load(const ModuleSpec& spec, ModuleHost& host) override {
    FakeBehaviour& behaviour = behaviours[spec.id.value()];
    ++behaviour.loads;
    NETSERV_TRY(behaviour.start(host, spec.slot));
    behaviour.properties = spec.properties;
    return std::make_unique<Loaded>(behaviour);
  }
  Status set_window(const std::vector<WindowPart>&) override { return {}; }

 private:
  struct Loaded final : Module {
    explicit Loaded(FakeBehaviour& behaviour) : b(behaviour) { ++b.alive; }
    ~Loaded() override { --b.alive; }
    bool handles_packets() const override { return b.packets; }
    Run process(std::span<PacketView> batch) override { return b.process(batch); }
    Run timer(std::uint32_t id) override { return b.timer(id); }
    Run readable(int) override { return {}; }
    Run replace_properties(std::map<std::string, std::string> properties) override {
      b.properties = std::move(properties);
      return {};
    }
    Run stop() override {
      ++b.stops;
      return {};
    }
    FakeBehaviour& b;
  };
};

class FakeSurroundings final : public Surroundings {
 public:
  TimePoint time{std::chrono::hours(1)};
  std::vector<std::byte> bytes = std::vector<std::byte>(NETSERV_WINDOW_BYTES);
  std::vector<ipc::FromContainer> reports;
  std::size_t emit_room = 4;
  std::vector<Bytes> emitted;
  std::vector<ModuleSlot> sockets_closed;

  TimePoint now() override { return time; }
  bool emit(ModuleSlot, std::span<const std::byte> packet) override {
    if (emitted.size() >= emit_room) return false;
    emitted.emplace_back(packet.begin(), packet.end());
    return true;
  }
  void report(ipc::FromContainer event) override { reports.push_back(std::move(event)); }
  int udp_open(ModuleSlot, int, std::uint16_t) override { return 0; }
  int udp_send(ModuleSlot, int, int, std::span<const std::byte>, std::uint16_t, std::span<const std::byte>) override {
    return 0;
  }
  int udp_receive(ModuleSlot, int, int&, std::span<std::byte>, std::uint16_t&, std::span<std::byte>) override {
    return 0;
  }
  int udp_close(ModuleSlot, int) override { return 0; }
  void udp_close_all(ModuleSlot slot) override { sockets_closed.push_back(slot); }
};

}  // namespace netserv::dispatch
