// `netserv node ...`, for a node's operator, and `netserv module logs`: over the admin socket.
#pragma once

#include <CLI/CLI.hpp>

namespace netserv::cli {

void add_node_commands(CLI::App& app, int& exit_code);
// Adds `logs` to the group `module`, which exists already.
void add_module_logs_command(CLI::App& app, int& exit_code);

}  // namespace netserv::cli
