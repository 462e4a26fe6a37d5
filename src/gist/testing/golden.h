// Texts that lie in the tree for people to read, held against what the code says now.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace netserv::gist::testing {

// NETSERV_REGENERATE=1 writes the file anew.
inline void expect_golden(const std::string& path, const std::string& text) {
  if (std::getenv("NETSERV_REGENERATE")) {
    std::ofstream(path) << text;
    return;
  }
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  EXPECT_EQ(text, std::string(std::istreambuf_iterator<char>(file), {})) << "run with NETSERV_REGENERATE=1 if the change is meant";
}

}  // namespace netserv::gist::testing
