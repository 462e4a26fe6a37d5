// Every state times every event, against golden files in docs/gist/, and the same as graphs for the docs.
// NETSERV_REGENERATE=1 writes the files anew.
#include <gtest/gtest.h>

#include "gist/association_sm.h"
#include "gist/node_sm.h"
#include "gist/querying_sm.h"
#include "gist/responding_sm.h"
#include "gist/testing/golden.h"

namespace netserv::gist {
namespace {

template <class M>
void expect_machine(const M& machine, const std::string& name) {
  testing::expect_golden(NETSERV_SOURCE_DIR "/docs/gist/" + name + ".txt", print_table(machine, name));
  testing::expect_golden(NETSERV_SOURCE_DIR "/docs/gist/" + name + ".dot", print_dot(machine, name));
}

TEST(GistMachines, Querying) { expect_machine(kQueryingMachine, "querying-sm"); }
TEST(GistMachines, Responding) { expect_machine(kRespondingMachine, "responding-sm"); }
TEST(GistMachines, Association) { expect_machine(kAssociationMachine, "association-sm"); }
TEST(GistMachines, Node) { expect_machine(kNodeMachine, "node-sm"); }

TEST(GistMachines, WhatNoRuleMentionsIsIgnored) {
  // RFC5971: 6.2-5
  const auto& step = kQueryingMachine.step(QueryingState::kEstablished, QueryingEvent::kNoResponse);
  EXPECT_FALSE(step.handled);
  EXPECT_EQ(step.next, QueryingState::kEstablished);
  EXPECT_TRUE(step.actions.empty());
  for (std::size_t e = 0; e < kQueryingMachine.kEvents; ++e)
    EXPECT_FALSE(kQueryingMachine.step(QueryingState::kDead, static_cast<QueryingEvent>(e)).handled);
}

}  // namespace
}  // namespace netserv::gist
