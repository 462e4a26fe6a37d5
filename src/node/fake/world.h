// A node without a kernel: store, helpers, containers and forwarder in memory, which outlive any controller.
// Messages take effect at once; what comes back waits in `inbox` until it is delivered, so a test chooses the order.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "node/controller.h"

namespace netserv::node::fake {

class FakeStore : public Store {
 public:
  Status commit(std::span<const StoreChange> changes) override;
  Snapshot snapshot() const;
  bool full = false;

  std::map<ModuleKey, ModuleRecord> modules;
  std::map<ContainerId, ContainerRecord> containers;
  std::map<NonceKey, NonceRecord> nonces;
  Switches switches;
  std::uint64_t next_sequence = 1;
  std::uint32_t next_container = 1;
};

struct FakeContainer {
  bool running = false;
  std::uint64_t life = 0;  // of the start that netservd knows it by
  std::map<ModuleId, ipc::ModuleStatus> modules;
  ipc::VersionRange rings;
};
struct FakeRing {
  std::vector<ipc::ModuleFilter> filters;
  std::uint64_t attached = 0;
  std::uint32_t emit_packets_per_second = 0;
};

class World : public Outputs, public Observer {
 public:
  explicit World(Now start) : now(start) {}

  void perform(const Action& action) override;
  void on_happened(const Happened& happened) override { happenings.push_back(happened); }

  // Behaviour to choose:
  std::set<std::string> bad_urls;     // fetch fails
  std::set<std::string> bad_objects;  // do not start
  bool containers_start = true;
  std::uint32_t ring_version = 3;  // that the forwarder makes, and containers that are started now can map
  bool forwarder_runs = true;
  bool forwarder_refuses = false;
  long actions_until_crash = -1;  // then everything said is lost, as if netservd had been killed

  // Things that befall it; each puts into the inbox what netservd would see.
  void connect_forwarder();
  void restart_forwarder();
  void kill_container(ContainerId id);
  void forget_netservd();  // its end of every connection is gone

  Now now;
  std::deque<Event> inbox;
  std::map<ContainerId, FakeContainer> containers;
  std::map<ContainerId, FakeRing> forwarder;
  std::map<ModuleKey, Artifact> cache;
  std::map<RequestId, ncm::Response> answers;
  std::vector<Happened> happenings;
  std::vector<Action> performed;
  std::vector<std::string> violations;
  bool draining = false;

 private:
  void act(const Fetch& a);
  void act(const Compile& a);
  void act(const CancelWork&) {}
  void act(const ReleaseObject&) {}
  void act(const StartContainer& a);
  void act(const StopContainer& a);
  void act(const SendContainer& a);
  void act(const SendForwarder& a);
  void act(const ResetForwarder& a);
  void act(const Answer& a);
  void to(ContainerId id, FakeContainer& c, const ipc::ToContainer& message);
};

}  // namespace netserv::node::fake
