// Nodes with both cores, GIST's and the NetServ NSLP's, on GIST's simulated network: a publisher, routers and a user
// in a line, each router with a controller that a test scripts.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "gist/testing/world.h"
#include "nslp/core.h"
#include "wire/ncm/status.h"

namespace netserv::nslp::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Numbers instead of random ids: a test needs no secrets.
class CountingSessions final : public SessionSource {
 public:
  explicit CountingSessions(int node) : node_(node) {}
  gist::SessionId new_session() override {
    gist::SessionId id;
    id.bytes[0] = std::byte(0xee);
    id.bytes[1] = std::byte(node_);
    id.bytes[15] = std::byte(++count_);
    return id;
  }

 private:
  int node_, count_ = 0;
};

inline ncm::Response answer(ncm::StatusCode code, std::string object, std::string state = "ACTIVE") {
  ncm::Response r;
  r.code = code;
  r.object = std::move(object);
  r.text = "said the controller";
  r.state = std::move(state);
  return r;
}

struct Station {
  Station(gist::testing::Node& n, Config config) : node(n), sessions(n.index) {
    config.node = n.name;
    config.address = n.address;
    config.local = {n.address};
    core = std::make_unique<Core>(config, sessions);
  }
  void perform(Outputs outputs) {
    for (Output& o : outputs) {
      if (auto* s = std::get_if<gist::SendMessage>(&o)) node.send(std::move(*s));
      if (auto* s = std::get_if<gist::SetStateLifetime>(&o)) node.perform(node.core().set_state_lifetime(*s, node.world.now()));
      if (auto* f = std::get_if<Finished>(&o)) finished.push_back(*f);
      if (auto* e = std::get_if<Event>(&o)) events.push_back(*e);
      if (auto* a = std::get_if<AskController>(&o)) {
        asked.push_back(ncm::print_message(a->ncm));
        if (controller) waiting.emplace_back(node.world.now() + controller_delay, *a);
      }
    }
  }
  gist::QueryAnswer on_query(const gist::RecvMessage& m) {
    gist::QueryAnswer out;
    for (Output& o : core->received(m, node.world.now()))
      if (auto* a = std::get_if<AnswerQuery>(&o)) out.peer = a->peer;
    return out;
  }
  void turn() {
    const TimePoint now = node.world.now();
    while (statuses_seen < node.statuses.size()) perform(core->status(node.statuses[statuses_seen++], now));
    while (!waiting.empty() && waiting.front().first <= now) {
      const AskController a = waiting.front().second;
      waiting.pop_front();
      perform(core->controller_answered(a.ticket, controller(a.ncm), now));
    }
    if (const auto next = core->next_deadline(); next && *next <= now) perform(core->on_time(now));
  }

  gist::testing::Node& node;
  CountingSessions sessions;
  std::unique_ptr<Core> core;
  std::size_t statuses_seen = 0;
  // By default every request is done. An empty function never answers.
  std::function<ncm::Response(const ncm::Message&)> controller = [](const ncm::Message& m) {
    return answer(ncm::StatusCode::kActive, m.object);
  };
  Duration controller_delay = milliseconds(2);
  std::deque<std::pair<TimePoint, AskController>> waiting;
  std::vector<std::string> asked;  // of the controller, as text
  std::vector<Finished> finished;
  std::vector<Event> events;
};

class PathTest : public ::testing::Test {
 protected:
  explicit PathTest(std::uint64_t seed = 1) : world(std::make_unique<gist::testing::World>(seed)) {}

  static gist::Config gist_config() {
    gist::Config c;
    c.tcp_port = 30000;
    return c;
  }
  Station& add(const std::string& name, Config config = {}) {
    gist::testing::Node& node = world->add(name, gist_config());
    stations.push_back(std::make_unique<Station>(node, config));
    Station& s = *stations.back();
    node.on_query = [&s](const gist::RecvMessage& m) { return s.on_query(m); };
    node.on_message = [&s](const gist::RecvMessage& m) {
      if (!m.check) s.perform(s.core->received(m, s.node.world.now()));
    };
    node.on_notification = [&s](const gist::NetworkNotification& n) { s.perform(s.core->notified(n, s.node.world.now())); };
    return s;
  }
  // publisher - routers - user; the user is a plain host.
  void line(int routers, Config config = {}, gist::testing::LinkQuality quality = {}) {
    Config host = config;
    host.hosts_modules = false;
    publisher = &add("publisher", host);
    gist::testing::Node* before = &publisher->node;
    for (int i = 1; i <= routers; ++i) {
      Station& r = add("r" + std::to_string(i), config);
      world->link(*before, r.node, quality);
      before = &r.node;
      router.push_back(&r);
    }
    user = &world->add_plain("user");
    world->link(*before, *user, quality);
  }
  std::string toward_user() const { return "toward:" + user->address.to_string() + "\n"; }

  Start start(const std::string& text, bool trigger = false) {
    Start s;
    s.ticket = ClientTicket(++tickets);
    s.session = session;
    s.source = publisher->node.address;
    s.destination = user->address;
    s.trigger = trigger;
    auto ncm = ncm::parse_message(text);
    EXPECT_TRUE(ncm) << text;
    s.ncm = *ncm;
    return s;
  }
  static void run(gist::testing::World& world, std::vector<std::unique_ptr<Station>>& stations) {
    world.run_for(milliseconds(1));
    for (auto& s : stations) s->turn();
  }
  void run_for(Duration time) {
    for (const TimePoint end = world->now() + time; world->now() < end;) run(*world, stations);
  }
  // Sends it and waits for its end.
  Finished request(const std::string& text, bool trigger = false) { return request(start(text, trigger)); }
  Finished request(const Start& s) {
    auto outputs = publisher->core->start(s, world->now());
    EXPECT_TRUE(outputs) << (outputs ? "" : outputs.error().message());
    if (!outputs) return {};
    publisher->perform(*outputs);
    for (const TimePoint end = world->now() + seconds(200); world->now() < end;) {
      run(*world, stations);
      if (!publisher->finished.empty() && publisher->finished.back().ticket == s.ticket) return publisher->finished.back();
    }
    ADD_FAILURE() << "never finished";
    return {};
  }
  static std::vector<std::string> nodes(const Finished& f) {
    std::vector<std::string> out;
    for (const Entry& e : f.stack) out.push_back(e.node);
    return out;
  }
  static std::vector<int> codes(const Finished& f) {
    std::vector<int> out;
    for (const Entry& e : f.stack) out.push_back(ncm::number(e.code));
    return out;
  }
  std::vector<std::string> router_names() const {
    std::vector<std::string> out;
    for (const Station* s : router) out.push_back(s->node.name);
    return out;
  }

  std::unique_ptr<gist::testing::World> world;
  std::vector<std::unique_ptr<Station>> stations;
  Station* publisher = nullptr;
  std::vector<Station*> router;
  gist::testing::Node* user = nullptr;
  gist::SessionId session{{std::byte(0x77)}};
  std::uint64_t tickets = 0;
};

}  // namespace netserv::nslp::testing
