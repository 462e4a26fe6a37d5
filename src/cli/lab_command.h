// `netserv lab ...`: becomes the lab's own program (lab/netserv-lab).
#pragma once

#include <CLI/CLI.hpp>

namespace netserv::cli {

void add_lab_command(CLI::App& app, int& exit_code);

}  // namespace netserv::cli
