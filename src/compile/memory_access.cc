#include "compile/memory_access.h"

#include <string_view>

namespace netserv::compile {
namespace {

// libwabt defines each access by a line of its own; returns how many it had.
int rename_lines(std::string& text, std::string_view start, std::string_view by) {
  int count = 0;
  for (std::size_t at = text.find(start); at != std::string::npos; at = text.find(start, at + by.size())) {
    text.replace(at, start.size(), by);
    ++count;
  }
  return count;
}

}  // namespace

bool use_own_memory_access(std::string& c_source) {
  const int loads = rename_lines(c_source, "\nDEFINE_LOAD(", "\nNETSERV_LOAD(");
  const int stores = rename_lines(c_source, "\nDEFINE_STORE(", "\nNETSERV_STORE(");
  rename_lines(c_source, "\n  FUNC_PROLOGUE;\n", "\n  NETSERV_PROLOGUE;\n");
  return loads == 14 && stores == 9;
}

}  // namespace netserv::compile
