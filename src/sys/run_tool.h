// Runs one of the system's tools and waits for it: no shell, a fixed search path, a fixed environment.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace netserv::sys {

struct ToolResult {
  int status = 0;  // as from waitpid
  std::string out;
  std::string err;
  bool ok() const { return status == 0; }
};

// `name` is looked for in /usr/sbin, /usr/bin, /sbin, /bin. Its standard input is `input`. An error if there is
// no such tool or it can't be started; a tool that fails is no Error here.
Result<ToolResult> run_tool(const std::string& name, const std::vector<std::string>& arguments,
                            const std::string& input = {});
bool has_tool(const std::string& name);

}  // namespace netserv::sys
