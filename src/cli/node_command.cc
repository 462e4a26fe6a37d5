#include "cli/node_command.h"

#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "cli/admin_client.h"
#include "cli/exit_codes.h"
#include "cli/program.h"
#include "cli/report.h"

namespace netserv::cli {
namespace {

using nlohmann::json;

struct AdminOptions {
  std::string socket = kDefaultAdminSocket;
  std::string publisher, module;
  unsigned last = 100;
  bool follow = false;
  bool json = false;
};
using SharedAdminOptions = std::shared_ptr<AdminOptions>;

SharedAdminOptions add_common(CLI::App& command) {
  auto o = std::make_shared<AdminOptions>();
  command.add_option("--admin-socket", o->socket, "netservd's admin socket")->envname("NETSERV_ADMIN_SOCKET")->capture_default_str();
  command.add_flag("--json", o->json, "Answer as JSON, one object a line");
  return o;
}

void add_stream_options(CLI::App& command, const SharedAdminOptions& o) {
  command.add_flag("--follow,-f", o->follow, "Go on until interrupted");
  command.add_option("--last", o->last, "Begin with so many past lines")->capture_default_str();
}

void print_event(const json& event, bool as_json) {
  if (as_json || !event.is_object()) {
    std::cout << dump(event) << std::endl;
    return;
  }
  std::string line = text_of(event, "time");
  for (const char* key : {"kind", "level", "publisher", "module", "text"})
    if (std::string value = text_of(event, key); !value.empty()) line += "  " + value;
  std::cout << printable(std::move(line)) << std::endl;
}

int ask(const AdminOptions& o, const json& request) {
  auto client = AdminClient::connect(o.socket);
  if (!client) return explain(client.error(), o.json);
  auto result = client->ask(request, o.follow, [&](const json& event) { print_event(event, o.json); });
  if (!result) return explain(result.error(), o.json);
  if (result->empty()) return kExitOk;
  std::cout << (o.json ? dump(*result) + "\n" : describe_value(*result));
  return kExitOk;
}

void add_plain(CLI::App& group, const char* verb, const char* help, int& exit_code) {
  CLI::App* command = group.add_subcommand(verb, help);
  command->footer(fmt::format("Example:\n  netserv node {} --json", verb));
  SharedAdminOptions o = add_common(*command);
  command->callback([o, verb, &exit_code] { exit_code = ask(*o, {{"verb", verb}}); });
}

void add_switch(CLI::App& group, const char* verb, const char* help, int& exit_code) {
  CLI::App* command = group.add_subcommand(verb, help);
  command->footer(fmt::format("Example:\n  netserv node {} janedoe", verb));
  SharedAdminOptions o = add_common(*command);
  command->add_option("PUBLISHER", o->publisher, "Its name in the node's configuration")->required();
  command->callback([o, verb, &exit_code] { exit_code = ask(*o, {{"verb", verb}, {"publisher", o->publisher}}); });
}

void add_events(CLI::App& group, int& exit_code) {
  CLI::App* command = group.add_subcommand("events", "What happened on the node");
  command->footer("Example:\n  netserv node events --follow");
  SharedAdminOptions o = add_common(*command);
  add_stream_options(*command, o);
  command->callback([o, &exit_code] { exit_code = ask(*o, {{"verb", "events"}, {"follow", o->follow}, {"last", o->last}}); });
}

void add_check_config(CLI::App& group, int& exit_code) {
  struct Check {
    std::string file = "/etc/netserv/netservd.toml";
    bool json = false;
  };
  auto o = std::make_shared<Check>();
  CLI::App* command = group.add_subcommand("check-config", "Check a configuration file of netservd");
  command->footer("Example:\n  netserv node check-config /etc/netserv/netservd.toml");
  command->add_option("FILE", o->file, "The file")->capture_default_str();
  command->add_flag("--json", o->json, "Answer as JSON");
  command->callback([o, &exit_code] {
    const std::string netservd = find_program("netservd", {});
    const std::vector<std::string> arguments{"--check-config", o->file};
    if (!o->json) return void(exit_code = explain(replace_with(netservd, arguments), false));
    auto ran = run_captured(netservd, arguments);
    if (!ran) return void(exit_code = explain(ran.error(), true));
    std::cout << dump({{"file", o->file}, {"ok", ran->status == 0}, {"text", ran->text}}) << std::endl;
    exit_code = ran->status;
  });
}

}  // namespace

void add_node_commands(CLI::App& app, int& exit_code) {
  CLI::App* group = app.add_subcommand("node", "Look at a node and operate it");
  group->require_subcommand(1);
  add_plain(*group, "status", "The node and what is wrong with it, if anything", exit_code);
  add_plain(*group, "modules", "Installed modules with their states and counters", exit_code);
  add_plain(*group, "containers", "Service containers", exit_code);
  add_events(*group, exit_code);
  add_plain(*group, "drain", "Stop all modules and accept none; outlasts a restart", exit_code);
  add_plain(*group, "undrain", "Take a drained node into service again", exit_code);
  add_switch(*group, "disable", "Stop all modules of a publisher and accept none; outlasts a restart", exit_code);
  add_switch(*group, "enable", "Accept a disabled publisher's modules again", exit_code);
  add_check_config(*group, exit_code);
}

void add_module_logs_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.get_subcommand("module")->add_subcommand("logs", "Log lines of modules on a node");
  command->footer("Example:\n  netserv module logs NetMonitor_1.0.0 --publisher janedoe --follow");
  SharedAdminOptions o = add_common(*command);
  command->add_option("ID", o->module, "Only this module's");
  command->add_option("--publisher", o->publisher, "Only this publisher's");
  add_stream_options(*command, o);
  command->callback([o, &exit_code] {
    json request{{"verb", "logs"}, {"follow", o->follow}, {"last", o->last}};
    if (!o->publisher.empty()) request["publisher"] = o->publisher;
    if (!o->module.empty()) request["module"] = o->module;
    exit_code = ask(*o, request);
  });
}

}  // namespace netserv::cli
