// The netserv command: the wiring of its subcommands. Each group lives in a file of its own.
#include <CLI/CLI.hpp>

#include <iostream>
#include <string>
#include <vector>

#include "cli/exit_codes.h"
#include "cli/key_command.h"
#include "cli/lab_command.h"
#include "cli/module_command.h"
#include "cli/node_command.h"
#include "cli/request_command.h"

namespace {

// CLI11 only says that a command is missing. Empty: that is not what is wrong.
std::string unknown_command(const CLI::App& app) {
  const CLI::App* group = &app;
  while (!group->get_subcommands().empty()) group = group->get_subcommands().front();
  if (group->get_require_subcommand_min() == 0) return {};
  std::string known;
  for (const CLI::App* command : group->get_subcommands([](const CLI::App*) { return true; }))
    known += (known.empty() ? "" : ", ") + command->get_name();
  const std::vector<std::string> rest = group->remaining();
  return (rest.empty() ? "a command is missing after" : "\"" + rest.front() + "\" is no command of") + " `" +
         (group == &app ? "netserv" : group->get_parent() == &app ? "netserv " + group->get_name() : group->get_name()) +
         "`; there are " + known;
}

}  // namespace

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
    if (const std::string said = unknown_command(app); !said.empty() && error.get_exit_code() != 0) {
      std::cerr << "netserv: " << said << "\n";
      return kExitUsage;
    }
    return app.exit(error) == 0 ? kExitOk : kExitUsage;  // 0: --help
  }
  return exit_code;
}
