// What the core wants done: values that the caller performs in order, and never waits for.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/strong_id.h"
#include "wire/gist_api/api.h"
#include "wire/nslp/message.h"

namespace netserv::nslp {

// Of a request that a local program sends.
using ClientTicket = StrongId<struct ClientTicketTag, std::uint64_t>;
// Of a question to this node's controller.
using ControllerTicket = StrongId<struct ControllerTicketTag, std::uint64_t>;

// The answer to a RecvMessage that has a ticket: gist::Core::answer_query().
struct AnswerQuery {
  gist::QueryTicket ticket{};
  bool peer = false;
};

// To netservd, as text; its answer goes to Core::controller_answered(). Answers may come in any order.
struct AskController {
  ControllerTicket ticket{};
  ncm::Message ncm;
};

// A local program's request is over, one way or another.
struct Finished {
  ClientTicket ticket{};
  std::vector<Entry> stack;  // the nearest node first; empty if there is no node on the path
  Microseconds wait{};       // from sending it to the answer
};

struct Event {
  enum class Type : std::uint8_t { kDropped, kRefused, kAnswered, kPathTimeout };
  Type type;
  gist::SessionId session;
  std::string text;
};

using Output = std::variant<gist::SendMessage, gist::SetStateLifetime, AnswerQuery, AskController, Finished, Event>;
using Outputs = std::vector<Output>;

}  // namespace netserv::nslp
