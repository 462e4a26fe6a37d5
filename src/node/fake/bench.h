// A controller at work in a fake world, with short names for what tests do to it.
#pragma once

#include <memory>
#include <random>

#include "node/fake/world.h"

namespace netserv::node::fake {

inline const PublisherId kAlice{"alice"};
inline const PublisherId kBob{"bob"};

class Bench {
 public:
  Bench() : world(Now{TimePoint(std::chrono::seconds(1000)), WallTime(std::chrono::seconds(1700000000))}) { start(); }

  static Settings settings() {
    Settings s;
    s.node_address = "192.0.2.1";
    s.blocks = {"packet/1", "log/1"};
    for (const PublisherId& publisher : {kAlice, kBob}) {
      Grant& g = s.publishers[publisher];
      g.authorised = {*Prefix::parse("10.0.0.0/8")};
      g.blocks = {"packet/1"};
    }
    return s;
  }

  // As after a crash: another process, the same store and world.
  void start(const std::map<ModuleKey, Error>& refused = {}) {
    world.forget_netservd();
    delivered.clear();
    controller = std::make_unique<Controller>(store, world, world, [this] { return world.now; });
    controller->start(store.snapshot(), settings(), world.cache, refused);
    world.connect_forwarder();
  }
  bool deliver() {
    if (world.inbox.empty()) return false;
    Event event = std::move(world.inbox.front());
    world.inbox.pop_front();
    delivered.push_back(event);
    controller->handle(std::move(event));
    return true;
  }
  // What was said of a container in an earlier life of its, once more: as from a launcher or a channel that was slow.
  void say_late(std::mt19937& random) {
    std::vector<Event> late;
    for (const Event& event : delivered)
      std::visit([&](const auto& e) {
        if constexpr (requires { e.life; }) {
          auto it = controller->state().containers.find(e.container);
          if (it != controller->state().containers.end() && it->second.life != e.life) late.push_back(event);
        }
      }, event);
    if (!late.empty()) world.inbox.push_back(late[random() % late.size()]);
  }
  void settle() {
    while (deliver()) {}
  }
  // Lets time pass in steps as the daemon would, and everything be delivered.
  void pass(Duration time) {
    settle();
    while (time > Duration::zero()) {
      Duration hop = std::min(time, std::max<Duration>(controller->until_next_tick(), std::chrono::milliseconds(1)));
      world.now.monotonic += hop;
      world.now.wall += hop;
      time -= hop;
      controller->handle(Tick{});
      settle();
    }
  }

  static ModuleSpec spec(std::uint16_t port = 5060) {
    ModuleSpec s;
    s.url = "http://publisher/module.wasm";
    s.digest = "d1";
    Filter f;
    f.protocol = 17;
    f.destination_port = port;
    f.destination = *Prefix::parse("10.0.0.0/8");
    s.filters = {f};
    return s;
  }
  Setup make_setup(const std::string& id, ModuleSpec what = spec(), const PublisherId& who = kAlice) {
    Setup s;
    s.request = RequestId(next_request++);
    s.key = {who, ModuleId(id)};
    s.spec = std::move(what);
    s.ttl = std::chrono::seconds(300);
    s.stamp.nonce = "n" + std::to_string(s.request.value());
    s.stamp.fingerprint = "f" + std::to_string(s.request.value());
    s.stamp.expires = world.now.wall + std::chrono::seconds(600);
    auto cached = world.cache.find(s.key);
    if (cached != world.cache.end()) s.cached = cached->second;
    return s;
  }
  RequestId setup(const std::string& id, ModuleSpec what = spec(), const PublisherId& who = kAlice) {
    Setup s = make_setup(id, std::move(what), who);
    controller->handle(s);
    return s.request;
  }
  Remove make_remove(const std::string& id, const PublisherId& who = kAlice) {
    Remove r;
    r.request = RequestId(next_request++);
    r.publisher = who;
    r.id = id;
    r.stamp.nonce = "n" + std::to_string(r.request.value());
    r.stamp.fingerprint = "f" + std::to_string(r.request.value());
    r.stamp.expires = world.now.wall + std::chrono::seconds(600);
    return r;
  }
  RequestId remove(const std::string& id, const PublisherId& who = kAlice) {
    Remove r = make_remove(id, who);
    controller->handle(r);
    return r.request;
  }
  // UNINSTALLED if it is not there.
  ModuleState state(const std::string& id, const PublisherId& who = kAlice) const {
    auto it = controller->state().modules.find({who, ModuleId(id)});
    return it == controller->state().modules.end() ? ModuleState::kUninstalled : it->second.state;
  }
  int code(RequestId request) const {
    auto it = world.answers.find(request);
    return it == world.answers.end() ? 0 : ncm::number(it->second.code);
  }
  std::size_t filters() const {
    std::size_t n = 0;
    for (const auto& [id, ring] : world.forwarder) n += ring.filters.size();
    return n;
  }
  // Of container 1's last start.
  std::uint64_t life() const { return controller->state().containers.at(ContainerId(1)).life; }
  std::size_t loaded() const {
    std::size_t n = 0;
    for (const auto& [id, c] : world.containers) n += c.modules.size();
    return n;
  }

  FakeStore store;
  World world;
  std::unique_ptr<Controller> controller;
  std::uint64_t next_request = 1;
  std::vector<Event> delivered;  // to this controller
};

}  // namespace netserv::node::fake
