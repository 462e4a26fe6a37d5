// A Wasm runtime with a packet window and a host that remembers, for tests of modules.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "dispatch/module_runtime.h"
#include "runtime/wasm/wasm_runtime.h"
#include "support/wat_module.h"

namespace netserv::test {

class RememberingHost : public dispatch::ModuleHost {
 public:
  std::vector<std::string> lines;    // "LEVEL text"
  std::vector<std::string> emitted;
  std::map<std::uint32_t, Duration> timers;
  std::map<std::string, std::uint64_t> counters;
  TimePoint time{};

  bool emit(ModuleSlot, std::span<const std::byte> packet) override {
    emitted.emplace_back(as_text(packet));
    return true;
  }
  void log(ModuleSlot, int level, std::string_view text) override {
    lines.push_back(std::to_string(level) + " " + std::string(text));
  }
  void set_timer(ModuleSlot, std::uint32_t id, Duration after, Duration) override { timers[id] = after; }
  void cancel_timer(ModuleSlot, std::uint32_t id) override { timers.erase(id); }
  TimePoint now() override { return time; }
  void count(ModuleSlot, std::string_view counter, std::uint64_t n) override { counters[std::string(counter)] += n; }
  int udp_open(ModuleSlot, int, std::uint16_t) override { return -13; }
  int udp_send(ModuleSlot, int, int, std::span<const std::byte>, std::uint16_t, std::span<const std::byte>) override {
    return -9;
  }
  int udp_receive(ModuleSlot, int, int&, std::span<std::byte>, std::uint16_t&, std::span<std::byte>) override {
    return -9;
  }
  int udp_close(ModuleSlot, int) override { return -9; }
};

class RuntimeFixture : public testing::Test {
 protected:
  // `call_limit`: CPU time of a call. Where it isn't the subject no slow machine and no sanitizer should reach it.
  explicit RuntimeFixture(std::chrono::milliseconds call_limit = std::chrono::minutes(1));
  ~RuntimeFixture() override;

  dispatch::ModuleRuntime& runtime() { return *runtime_; }
  RememberingHost& host() { return host_; }
  std::byte* window() { return windows_.back(); }
  // Another window file, given to the runtime; the earlier ones stay mapped here.
  void make_window();
  // One packet of 64 bytes a first byte, in the slots from 0 on.
  std::vector<dispatch::PacketView> packets(const std::vector<int>& first_bytes);

  Result<std::unique_ptr<dispatch::Module>> load(std::string_view wat, const std::string& name = "module",
                                                 std::string_view manifest = kPacketManifest);
  Result<std::unique_ptr<dispatch::Module>> load_object(const std::string& path, const std::string& name);
  std::string compile_or_die(std::string_view wat);
  dispatch::ModuleSpec spec(const std::string& object_path, const std::string& name);
  // Of the last load().
  const std::string& object_path() const { return object_path_; }

 private:
  TemporaryFolder folder_;
  RememberingHost host_;
  std::unique_ptr<dispatch::ModuleRuntime> runtime_;
  std::vector<std::byte*> windows_;
  std::string object_path_;
  int count_ = 0;
};

}  // namespace netserv::test
