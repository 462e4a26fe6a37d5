// Every state times every event, against docs/nslp/, and the same as a graph. NETSERV_REGENERATE=1 writes them anew.
#include <gtest/gtest.h>

#include "gist/testing/golden.h"
#include "nslp/exchange_sm.h"

namespace netserv::nslp {
namespace {

TEST(ExchangeMachine, Table) {
  gist::testing::expect_golden(NETSERV_SOURCE_DIR "/docs/nslp/exchange-sm.txt", gist::print_table(kExchangeMachine, "exchange-sm"));
  gist::testing::expect_golden(NETSERV_SOURCE_DIR "/docs/nslp/exchange-sm.dot", gist::print_dot(kExchangeMachine, "exchange-sm"));
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
