// Every state times every event, against docs/nslp/, and the same as a graph. NETSERV_REGENERATE=1 writes them anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "nslp/exchange_sm.h"

namespace netserv::nslp {
namespace {

void expect_golden(const std::string& name, const std::string& text) {
  const std::string path = std::string(NETSERV_SOURCE_DIR) + "/docs/nslp/" + name;
  if (std::getenv("NETSERV_REGENERATE")) {
    std::ofstream(path) << text;
    return;
  }
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  std::ostringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(text, golden.str()) << "run with NETSERV_REGENERATE=1 if the change is meant";
}

TEST(ExchangeMachine, Table) {
  expect_golden("exchange-sm.txt", gist::print_table(kExchangeMachine, "exchange-sm"));
  expect_golden("exchange-sm.dot", gist::print_dot(kExchangeMachine, "exchange-sm"));
}

// An answer leaves once: nothing but a duplicate makes an answered exchange speak again.
TEST(ExchangeMachine, AnswersOnce) {
  for (std::size_t e = 0; e < ExchangeMachine::kEvents; ++e) {
    const auto event = static_cast<ExchangeEvent>(e);
    const auto& step = kExchangeMachine.step(ExchangeState::kAnswered, event);
    EXPECT_EQ(step.handled, event == ExchangeEvent::kDuplicate || event == ExchangeEvent::kForget) << to_string(event);
    EXPECT_FALSE(kExchangeMachine.step(ExchangeState::kDead, event).handled);
  }
}

// Whatever happens, the deadline ends it.
TEST(ExchangeMachine, DeadlineAlwaysAnswers) {
  for (auto s : {ExchangeState::kHeld, ExchangeState::kOpening, ExchangeState::kOpeningReady, ExchangeState::kAwaiting,
                 ExchangeState::kAwaitingReady, ExchangeState::kClosing})
    EXPECT_EQ(kExchangeMachine.step(s, ExchangeEvent::kDeadline).next, ExchangeState::kAnswered) << to_string(s);
}

}  // namespace
}  // namespace netserv::nslp
