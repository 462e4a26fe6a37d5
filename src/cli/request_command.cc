#include "cli/request_command.h"

#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <thread>

#include "cli/exit_codes.h"
#include "cli/ncm_client.h"
#include "cli/path_request.h"
#include "cli/report.h"
#include "cli/request_builder.h"
#include "sys/clock.h"

namespace netserv::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kPollEvery{200};

struct Options {
  RequestOptions request;
  std::string node_socket = kDefaultNodeSocket;
  PathOptions path;  // used if `toward` is given
  unsigned timeout_seconds = 60;
  bool no_wait = false;
  bool print_only = false;
  bool json = false;
};
using Shared = std::shared_ptr<Options>;

void add_common(CLI::App& command, const Shared& o) {
  command.add_option("--node-socket", o->node_socket, "The node's NCM socket")->envname("NETSERV_SOCKET")->capture_default_str();
  command.add_option("--user", o->request.user, "Your name in the node's configuration")->envname("NETSERV_USER");
  command.add_option("--key", o->request.key_file, "Your private key (PEM)")->envname("NETSERV_KEY");
  auto* toward = command.add_option("--toward", o->path.toward,
                                    "Send it along the path to this address, to every NetServ node there (signed)");
  command.add_option("--nodes", o->request.headers["nodes"],
                     "Which nodes on the path act: all, last, first=N, matching, or a list of names and addresses (signed)");
  command.add_option("--source", o->path.source, "The flow's source (default: this host's address towards the destination)")
      ->needs(toward);
  command.add_option("--nslp-socket", o->path.socket, "Socket of this host's nslpd")->envname("NETSERV_NSLP_SOCKET")->capture_default_str();
  if (o->path.trigger) toward->required();
  command.add_option("--valid", o->request.valid_seconds, "Seconds until the request expires")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  command.add_option("--file", o->request.file, "Start from this message; \"-\" is standard input");
  command.add_option("--timeout", o->timeout_seconds, "Seconds to wait for the node")->check(CLI::Range(1, 86400))->capture_default_str();
  command.add_flag("--print", o->print_only, "Print the request instead of sending it");
  command.add_flag("--json", o->json, "Answer as JSON");
}

std::chrono::milliseconds timeout_of(const Options& o) { return std::chrono::seconds(o.timeout_seconds); }

// A signed PROBE of the module that `setup` installs. It is sent again and again: a PROBE changes nothing, so
// its repetition is answered.
Result<ncm::Message> probe_for(const Options& setup, const ncm::Message& message) {
  RequestOptions probe;
  probe.verb = ncm::Verb::kProbe;
  probe.object = message.object;
  probe.headers["probe"] = "module";
  probe.user = *message.find("user");
  probe.key_file = setup.request.key_file;
  probe.valid_seconds = std::min(3600u, setup.timeout_seconds + 60);
  return build_request(probe, sys::wall_now());
}

// One line each time what the node says changes.
class Progress {
 public:
  explicit Progress(bool as_json) : as_json_(as_json) {}
  void operator()(const ncm::Response& r) {
    ncm::Response told = r;
    told.text = detail(r);
    const std::string line = state_and_text(told);
    if (line == last_) return;
    last_ = line;
    if (as_json_) std::cout << dump({{"progress", to_json(r)}}) << std::endl;
    else if (is_installing(r)) std::cerr << "  " << printable(line) << std::endl;
  }

 private:
  static std::string detail(const ncm::Response& r) {
    json body = json::parse(r.body, nullptr, false);
    if (!body.is_object() || !body.contains("modules") || !body["modules"].is_array() || body["modules"].empty()) return r.text;
    const json& module = body["modules"].front();
    if (!module.is_object() || !module.contains("progress") || !module["progress"].is_string()) return r.text;
    return module["progress"].get<std::string>();
  }
  bool as_json_;
  std::string last_;
};

Result<ncm::Response> run_setup(const Options& o, const ncm::Message& message) {
  NETSERV_ASSIGN(NcmClient client, NcmClient::connect(o.node_socket, timeout_of(o)));
  NETSERV_ASSIGN(ncm::Response first, client.exchange(message));
  // A message that somebody else signed can't be followed: only its publisher may probe.
  if (o.no_wait || !is_installing(first) || o.request.key_file.empty()) return first;
  Progress progress(o.json);
  progress(first);
  NETSERV_ASSIGN(ncm::Message probe, probe_for(o, message));
  unsigned attempts = static_cast<unsigned>(timeout_of(o) / kPollEvery);
  return poll_until_final([&] { return client.exchange(probe); }, attempts, std::ref(progress),
                          [] { std::this_thread::sleep_for(kPollEvery); });
}

Result<ncm::Response> run_once(const Options& o, const ncm::Message& message) {
  NETSERV_ASSIGN(NcmClient client, NcmClient::connect(o.node_socket, timeout_of(o)));
  return client.exchange(message);
}

int run(const Options& o) {
  if (!o.path.toward.empty()) {
    PathOptions path = o.path;
    path.timeout_seconds = o.timeout_seconds;
    path.no_wait = o.no_wait;
    path.print_only = o.print_only;
    path.json = o.json;
    return run_along_path(o.request, path);
  }
  auto message = build_request(o.request, sys::wall_now());
  if (!message) return explain(message.error(), o.json);
  if (o.print_only) {
    std::cout << ncm::print_message(*message);
    return kExitOk;
  }
  auto response = o.request.verb == ncm::Verb::kSetup ? run_setup(o, *message) : run_once(o, *message);
  return response ? show(*response, o.json) : explain(response.error(), o.json);
}

void add_setup(CLI::App& app, int& exit_code, bool trigger = false) {
  auto o = std::make_shared<Options>();
  o->path.trigger = trigger;
  o->request.verb = ncm::Verb::kSetup;
  auto& headers = o->request.headers;
  CLI::App* command = app.add_subcommand("setup", "Install or refresh a module on a node");
  const std::string_view module =
      "--url http://example.com/netmonitor.wasm --module-file netmonitor.wasm \\\n"
      "    --filter-proto udp --filter-port 5060 --property visualizer_ip=192.0.2.7 --user janedoe --key janedoe.key\n";
  const std::string on_path = fmt::format("  netserv {}setup NetMonitor_1.0.0 --toward 198.51.100.7 {}", trigger ? "trigger " : "", module);
  command->footer(trigger ? "Example:\n" + on_path
                          : fmt::format("Example:\n"
                                        "  netserv setup NetMonitor_1.0.0 {}{}", module, on_path));
  command->add_option("ID", o->request.object, "name_version");
  command->add_option("--url", headers["url"], "Where the node fetches the module (http, https)");
  command->add_option("--digest", headers["digest"], "SHA-256 of the module, hex");
  auto* file = command->add_option("--module-file", o->request.module_file, "Take the digest of this file");
  command->add_flag("--fetch-digest", o->request.fetch_digest, "Take the digest of what the URL gives now")->excludes(file);
  command->add_option("--ttl", headers["ttl"], "Seconds until the node removes it by itself (node's default: 300)");
  command->add_option("--filter-proto", headers["filter-proto"], "Protocols, comma list");
  command->add_option("--filter-port", headers["filter-port"], "Destination ports, comma list; needs tcp or udp");
  command->add_option("--filter-src", headers["filter-src"], "Source prefixes, comma list");
  command->add_option("--filter-dst", headers["filter-dst"], "Destination prefixes, comma list (default: all of yours)");
  command->add_option("--dependencies", headers["dependencies"], "Building blocks, such as packet/1,timer/1");
  command->add_option("--notification", headers["notification"], "URL that gets the module's events");
  command->add_option("--property,-p", o->request.properties, "key=value for the module (netserv.* for the node); repeatable")
      ->allow_extra_args(false);
  command->add_flag("--no-wait", o->no_wait, "Do not wait until the module is active");
  add_common(*command, o);
  command->callback([o, &exit_code] { exit_code = run(*o); });
}

void add_remove(CLI::App& app, int& exit_code, bool trigger = false) {
  auto o = std::make_shared<Options>();
  o->path.trigger = trigger;
  o->request.verb = ncm::Verb::kRemove;
  CLI::App* command = app.add_subcommand("remove", "Remove a module from a node");
  command->footer(trigger ? "Example:\n  netserv trigger remove NetMonitor --toward 198.51.100.7 --user janedoe --key janedoe.key"
                          : "Example:\n  netserv remove NetMonitor --user janedoe --key janedoe.key     (all versions)\n"
                            "  netserv remove NetMonitor_1.0.0 --toward 198.51.100.7 --user janedoe --key janedoe.key");
  command->add_option("ID", o->request.object, "name_version, or name for all versions");
  add_common(*command, o);
  command->callback([o, &exit_code] { exit_code = run(*o); });
}

void add_probe(CLI::App& app, int& exit_code, bool trigger = false) {
  auto o = std::make_shared<Options>();
  o->path.trigger = trigger;
  o->request.verb = ncm::Verb::kProbe;
  CLI::App* command = app.add_subcommand("probe", "Ask a node about itself, your policy there, or your modules");
  command->footer(trigger ? "Example:\n  netserv trigger probe --kind node --toward 198.51.100.7 --user janedoe --key janedoe.key"
                          : "Example:\n  netserv probe --kind capabilities\n"
                            "  netserv probe NetMonitor_1.0.0 --user janedoe --key janedoe.key\n"
                            "  netserv probe --kind node --toward 198.51.100.7              (who is on the path)");
  command->add_option("ID", o->request.object, "name_version, or name for all versions; without it all of your modules");
  command->add_option("--kind", o->request.headers["probe"], "module, node, capabilities or policy (default: module)")
      ->check(CLI::IsMember({"module", "node", "capabilities", "policy"}));
  add_common(*command, o);
  command->callback([o, &exit_code] {
    if (o->request.object.empty() && o->request.file.empty()) o->request.object = "*";
    exit_code = run(*o);
  });
}

// The same commands by way of the last node on the path: for modules that are to sit on the way back.
void add_trigger(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("trigger", "Let the last node on a path send a request back along the reverse path");
  command->require_subcommand(1);
  command->footer("Example:\n  netserv trigger setup NetMonitor_1.0.0 --toward 198.51.100.7 --url http://example.com/netmonitor.wasm ...");
  add_setup(*command, exit_code, true);
  add_remove(*command, exit_code, true);
  add_probe(*command, exit_code, true);
}

}  // namespace

void add_request_commands(CLI::App& app, int& exit_code) {
  add_setup(app, exit_code);
  add_remove(app, exit_code);
  add_probe(app, exit_code);
  add_trigger(app, exit_code);
}

}  // namespace netserv::cli
