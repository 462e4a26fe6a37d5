// Other programs that belong to NetServ: where they are, and becoming one of them.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace netserv::cli {

// The first that exists: beside this program, each of `places` (relative ones start at this program's folder);
// else the bare name, for PATH.
std::string find_program(const std::string& name, const std::vector<std::string>& places);

// What the program wrote to standard output and error, and its exit status. Waits for its end.
struct ProgramOutput {
  int status = 0;
  std::string text;  // without line ends at its end
};
Result<ProgramOutput> run_captured(const std::string& program, const std::vector<std::string>& arguments);

// Returns only if it failed: kExitUnavailable in Error.code.
Error replace_with(const std::string& program, const std::vector<std::string>& arguments);

}  // namespace netserv::cli
