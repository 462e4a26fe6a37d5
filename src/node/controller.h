// The controller: holds the state, applies step() to each event, keeps before it acts. The interfaces are its own
// words; src/store, src/daemons and fake/ implement them. One thread; events that arrive while one is being
// handled wait their turn.
#pragma once

#include <deque>
#include <functional>
#include <span>

#include "node/step.h"

namespace netserv::node {

class Store {
 public:
  virtual ~Store() = default;
  // All or nothing, and on disk when it returns. An error leaves what was there.
  virtual Status commit(std::span<const StoreChange> changes) = 0;
};

class Outputs {
 public:
  virtual ~Outputs() = default;
  // Never blocks. Results come back through Controller::handle(), also from within perform().
  virtual void perform(const Action& action) = 0;
};

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_happened(const Happened&) {}
  // The store refused changes that could not be taken back, since the outer world has moved already.
  virtual void on_store_problem(const Error&) {}
};

class Controller {
 public:
  Controller(Store& store, Outputs& outputs, Observer& observer, std::function<Now()> clock)
      : store_(store), outputs_(outputs), observer_(observer), clock_(std::move(clock)) {}

  void start(const Snapshot& snapshot, Settings settings, const std::map<ModuleKey, Artifact>& cached,
             const std::map<ModuleKey, Error>& refused = {});
  void handle(Event event);
  const State& state() const { return state_; }
  Duration until_next_tick() const { return node::until_next_tick(state_, clock_()); }

 private:
  void apply(Step step, const Event* event);

  Store& store_;
  Outputs& outputs_;
  Observer& observer_;
  std::function<Now()> clock_;
  State state_;
  std::deque<Event> queue_;
  bool busy_ = false;
};

}  // namespace netserv::node
