// The fixture of the controller's tests: a Bench, and none of the fake world's rules broken at the end.
#pragma once

#include <gtest/gtest.h>

#include "node/fake/bench.h"

namespace netserv::node::fake {

class BenchTest : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_TRUE(b.world.violations.empty()) << b.world.violations.front(); }
  Bench b;
};

}  // namespace netserv::node::fake
