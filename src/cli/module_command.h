// `netserv module new|build|inspect|run`: what a publisher does at the desk, without root and without a node.
#pragma once

#include <CLI/CLI.hpp>

namespace netserv::cli {

// Adds the group `module`. A subcommand that runs leaves one of exit_codes.h in `exit_code`, which outlives `app`.
void add_module_commands(CLI::App& app, int& exit_code);

}  // namespace netserv::cli
