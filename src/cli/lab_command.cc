#include "cli/lab_command.h"

#include "cli/program.h"
#include "cli/report.h"

namespace netserv::cli {

void add_lab_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("lab", "Networks of nodes on this machine, for tests and trying out");
  command->footer("Example:\n  netserv lab --help");
  command->set_help_flag();  // the lab has its own
  command->prefix_command();
  command->callback([command, &exit_code] {
    std::string lab = find_program("netserv-lab", {"../share/netserv/lab/netserv-lab", NETSERV_SOURCE_LAB "/netserv-lab"});
    exit_code = explain(replace_with(lab, command->remaining()), false);
  });
}

}  // namespace netserv::cli
