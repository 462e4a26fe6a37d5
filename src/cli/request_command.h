// `netserv setup|remove|probe`: a publisher's requests, to a local node or along a path; `netserv trigger`.
#pragma once

#include <CLI/CLI.hpp>

namespace netserv::cli {

void add_request_commands(CLI::App& app, int& exit_code);

}  // namespace netserv::cli
