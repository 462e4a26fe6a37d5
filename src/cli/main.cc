// The netserv command: the wiring of its subcommands. Each group lives in a file of its own.
#include <CLI/CLI.hpp>

#include "cli/exit_codes.h"
#include "cli/key_command.h"
#include "cli/lab_command.h"
#include "cli/module_command.h"
#include "cli/node_command.h"
#include "cli/request_command.h"

int main(int argc, char** argv) {
  using namespace netserv::cli;
  CLI::App app{"NetServ: deploy and run modules on the routers on the path"};
  app.require_subcommand(1);
  int exit_code = kExitOk;
  add_key_commands(app, exit_code);
  add_request_commands(app, exit_code);
  add_module_commands(app, exit_code);
  add_module_logs_command(app, exit_code);
  add_node_commands(app, exit_code);
  add_lab_command(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;  // 0: --help
  }
  return exit_code;
}
