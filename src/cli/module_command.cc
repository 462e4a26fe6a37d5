#include "cli/module_command.h"

#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/exit_codes.h"
#include "cli/module_facts.h"
#include "cli/module_project.h"
#include "cli/module_run.h"
#include "cli/sdk_folder.h"
#include "netserv/abi.h"

namespace netserv::cli {
namespace {

using nlohmann::json;

int explain(const Error& error, bool as_json) {
  if (as_json)
    std::cout << json{{"error", {{"subject", error.subject}, {"text", error.text}, {"code", error.code}}}}.dump(
                     -1, ' ', false, json::error_handler_t::replace)
              << "\n";
  std::cerr << "netserv: " << error.message() << "\n";
  return error.code ? error.code : kExitFailed;
}

Error unavailable(Error error) {
  error.code = kExitUnavailable;
  return error;
}

void add_new(CLI::App& group, int& exit_code) {
  struct Options {
    std::string path, language = "c++", sdk;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = group.add_subcommand("new", "Make a module project from a template");
  command->footer("Example:\n  netserv module new hello --lang c");
  command->add_option("NAME", options->path, "Folder to make; its last part is the module's name")->required();
  command->add_option("--lang", options->language, "c or c++")->check(CLI::IsMember({"c", "c++"}))->capture_default_str();
  command->add_option("--sdk", options->sdk, "Folder of the SDK (default: $NETSERV_SDK, or the installed one)");
  command->add_flag("--json", options->json, "Answer as JSON");
  command->callback([options, &exit_code] {
    auto sdk = find_sdk(options->sdk);
    if (!sdk) return void(exit_code = explain(unavailable(sdk.error()), options->json));
    auto files = new_project(*sdk, options->path, options->language == "c" ? Language::kC : Language::kCxx);
    if (!files) return void(exit_code = explain(files.error(), options->json));
    if (options->json) {
      std::cout << json{{"folder", options->path}, {"files", *files}}.dump() << "\n";
      return;
    }
    for (const std::string& file : *files) std::cout << options->path << "/" << file << "\n";
    std::cout << "Next: netserv module build " << options->path << "\n";
  });
}

void add_build(CLI::App& group, int& exit_code) {
  struct Options {
    std::string folder = ".", output, sdk;
    bool json = false, verbose = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = group.add_subcommand("build", "Compile a module project to a .wasm file with clang");
  command->footer("Example:\n  netserv module build hello");
  command->add_option("FOLDER", options->folder, "The project")->capture_default_str();
  command->add_option("-o,--output", options->output, "The .wasm file (default: FOLDER/build/NAME.wasm)");
  command->add_option("--sdk", options->sdk, "Folder of the SDK (default: $NETSERV_SDK, or the installed one)");
  command->add_flag("-v,--verbose", options->verbose, "Print the compiler's command line");
  command->add_flag("--json", options->json, "Answer as JSON");
  command->callback([options, &exit_code] {
    auto sdk = find_sdk(options->sdk);
    if (!sdk) return void(exit_code = explain(unavailable(sdk.error()), options->json));
    std::string log;
    auto built = build_project(*sdk, options->folder, options->output, log);
    if (options->verbose && !log.empty()) std::cerr << log << "\n";
    if (!built) {
      const bool theirs = built.error().origin == Origin::kPublisher;
      return void(exit_code = explain(theirs ? built.error() : unavailable(built.error()), options->json));
    }
    if (options->json)
      std::cout << json{{"wasm", built->wasm}, {"bytes", built->bytes}, {"sources", built->sources}}.dump() << "\n";
    else
      std::cout << built->wasm << ", " << built->bytes << " bytes\n";
  });
}

void add_inspect(CLI::App& group, int& exit_code) {
  struct Options {
    std::string file;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = group.add_subcommand("inspect", "Say what a .wasm file is and whether a node would take it");
  command->footer("Exit code 3 if a node would refuse it.\nExample:\n  netserv module inspect hello/build/hello.wasm");
  command->add_option("FILE", options->file, "The .wasm file")->required();
  command->add_flag("--json", options->json, "Answer as JSON");
  command->callback([options, &exit_code] {
    auto facts = module_facts(options->file);
    if (!facts) return void(exit_code = explain(unavailable(facts.error()), options->json));
    std::cout << (options->json ? facts->dump(2) + "\n" : describe(*facts));
    exit_code = (*facts)["accepted"] ? kExitOk : kExitRefused;
  });
}

void add_run(CLI::App& group, int& exit_code) {
  struct Options {
    RunOptions run;
    std::vector<std::string> properties;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = group.add_subcommand("run", "Feed a capture through a module, here and without root");
  command->footer(
      "Time is the capture's; datagrams that the module sends are printed, not sent. Exit code 1 if the module traps,\n"
      "3 if a node would refuse it.\n"
      "Example:\n  netserv module run keepalive.wasm --pcap sip.pcap --property swap=on --out answered.pcap");
  command->add_option("FILE", options->run.wasm, "The .wasm file")->required();
  command->add_option("--pcap", options->run.pcap, "Capture to read (pcap or pcapng)")->required();
  command->add_option("--out", options->run.out, "Capture to write: what goes on, goes back, or is emitted");
  command->add_option("--property", options->properties, "KEY=VALUE; may be given several times")
      ->allow_extra_args(false);
  command->add_option("--batch", options->run.batch, "Packets handed over at a time")
      ->check(CLI::Range(1u, NETSERV_BATCH_MAX))
      ->capture_default_str();
  command->add_option("--after", options->run.after_ms, "Milliseconds that go on after the last packet")
      ->check(CLI::Range(0u, 3'600'000u))
      ->capture_default_str();
  command->add_flag("--summary", options->run.summary, "No line for each packet");
  command->add_flag("--json", options->run.json, "Answer as JSON");
  command->callback([options, &exit_code] {
    for (const std::string& property : options->properties) {
      std::size_t at = property.find('=');
      if (at == std::string::npos || at == 0) throw CLI::ValidationError("--property", property + " is not KEY=VALUE");
      options->run.properties[property.substr(0, at)] = property.substr(at + 1);
    }
    auto ran = run_module(options->run, std::cout);
    exit_code = !ran ? explain(ran.error(), options->run.json) : *ran ? kExitOk : kExitFailed;
  });
}

}  // namespace

void add_module_commands(CLI::App& app, int& exit_code) {
  CLI::App* group = app.add_subcommand("module", "Make, compile, look at and try out modules");
  group->require_subcommand(1);
  add_new(*group, exit_code);
  add_build(*group, exit_code);
  add_inspect(*group, exit_code);
  add_run(*group, exit_code);
}

}  // namespace netserv::cli
