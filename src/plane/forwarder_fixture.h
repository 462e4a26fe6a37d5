// For tests: the forwarder's core with real rings and containers that are run by hand. After every step the books must
// balance.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "forward/forwarder.h"
#include "plane/fake/fake_plane.h"
#include "plane/ring_port.h"
#include "plane/scripted_container.h"
#include "plane/test_packets.h"

namespace netserv::plane {

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
  static ipc::ModuleFilter all_udp_observed() {
    ipc::ModuleFilter f = all_udp();
    f.observer = true;
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

}  // namespace netserv::plane
