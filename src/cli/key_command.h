// `netserv key new FILE`: a publisher's key pair.
#pragma once

#include <CLI/CLI.hpp>

namespace netserv::cli {

void add_key_commands(CLI::App& app, int& exit_code);

}  // namespace netserv::cli
