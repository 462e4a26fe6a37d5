#include "node/module_state.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace netserv::node {
namespace {

std::string file(const std::string& path) {
  std::ifstream in(std::string(NETSERV_SOURCE_DIR) + "/" + path);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

TEST(ModuleState, EveryStateAndEventIsAsWrittenDown) {
  EXPECT_EQ(module_state_table(), file("tests/golden/module_states.txt"));
}

TEST(ModuleState, TheDrawingInTheDocsIsTheTable) { EXPECT_EQ(module_state_dot(), file("docs/module-states.dot")); }

}  // namespace
}  // namespace netserv::node
