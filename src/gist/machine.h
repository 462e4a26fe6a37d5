// State machines as tables: each row says what one event does in one state. step() is a pure function; whoever
// owns the state performs the actions, in order, and then assigns `next`. What no row mentions is ignored, as
// RFC 5971, 6.2 asks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace netserv::gist {

template <class Action>
class Actions {
 public:
  constexpr Actions() = default;
  constexpr Actions(std::initializer_list<Action> actions) {
    for (Action a : actions) list_[size_++] = a;
  }
  constexpr const Action* begin() const { return list_.data(); }
  constexpr const Action* end() const { return list_.data() + size_; }
  constexpr bool empty() const { return size_ == 0; }

 private:
  std::array<Action, 8> list_{};
  std::uint8_t size_ = 0;
};

template <class State, class Event, class Action>
struct Transition {
  State from;
  Event event;
  State next;
  Actions<Action> actions;
};

template <class State, class Action>
struct Step {
  State next;
  Actions<Action> actions;
  bool handled = false;  // false: the event means nothing in this state
};

// State and Event count from 0 and end in kCount.
template <class State, class Event, class Action>
class Machine {
 public:
  template <std::size_t N>
  constexpr explicit Machine(const Transition<State, Event, Action> (&rows)[N]) {
    for (std::size_t s = 0; s < kStates; ++s)
      for (Step<State, Action>& step : table_[s]) step.next = static_cast<State>(s);
    for (const auto& row : rows)
      table_[static_cast<std::size_t>(row.from)][static_cast<std::size_t>(row.event)] = {row.next, row.actions, true};
  }

  constexpr const Step<State, Action>& step(State state, Event event) const {
    return table_[static_cast<std::size_t>(state)][static_cast<std::size_t>(event)];
  }

  static constexpr std::size_t kStates = static_cast<std::size_t>(State::kCount);
  static constexpr std::size_t kEvents = static_cast<std::size_t>(Event::kCount);

 private:
  std::array<std::array<Step<State, Action>, kEvents>, kStates> table_{};
};

// Every state times every event, a line each, for the golden files and people.
template <class State, class Event, class Action>
std::string print_table(const Machine<State, Event, Action>& machine, std::string_view name) {
  std::string out = "# " + std::string(name) + ": state, event -> next state: actions\n";
  for (std::size_t s = 0; s < machine.kStates; ++s) {
    for (std::size_t e = 0; e < machine.kEvents; ++e) {
      const auto& step = machine.step(static_cast<State>(s), static_cast<Event>(e));
      out += std::string(to_string(static_cast<State>(s))) + ", " + std::string(to_string(static_cast<Event>(e))) + " -> ";
      if (!step.handled) {
        out += "ignored\n";
        continue;
      }
      out += std::string(to_string(step.next)) + ":";
      for (Action a : step.actions) out += " " + std::string(to_string(a));
      out += "\n";
    }
  }
  return out;
}

template <class State, class Event, class Action>
std::string print_dot(const Machine<State, Event, Action>& machine, std::string_view name) {
  std::string out = "digraph \"" + std::string(name) + "\" {\n";
  for (std::size_t s = 0; s < machine.kStates; ++s)
    for (std::size_t e = 0; e < machine.kEvents; ++e) {
      const auto& step = machine.step(static_cast<State>(s), static_cast<Event>(e));
      if (!step.handled) continue;
      out += "  \"" + std::string(to_string(static_cast<State>(s))) + "\" -> \"" + std::string(to_string(step.next)) +
             "\" [label=\"" + std::string(to_string(static_cast<Event>(e))) + "\"];\n";
    }
  return out + "}\n";
}

}  // namespace netserv::gist
