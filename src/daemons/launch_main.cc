// netserv-launch: starts, stops and finds service containers for netservd. Its last line
// of output is one JSON object: the result, or {"ok": false, "error": ...}; the exit code is 0, 1, or 2 for bad
// usage.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "lxc/launcher.h"

namespace {

using namespace netserv;
using nlohmann::json;

int usage() {
  std::fputs(
      "usage: netserv-launch SPEC.json|-\n"
      "       netserv-launch --stop NAME --state-folder FOLDER\n"
      "       netserv-launch --network NAME --state-folder FOLDER   (grants on standard input)\n"
      "       netserv-launch --list --state-folder FOLDER\n"
      "       netserv-launch --clean --state-folder FOLDER\n",
      stderr);
  return 2;
}

int print(json result) {
  result["ok"] = true;
  std::printf("%s\n", result.dump(-1, ' ', false, json::error_handler_t::replace).c_str());
  return 0;
}

int print(const Error& error) {
  json result = {{"ok", false}, {"error", error.message()}};
  std::printf("%s\n", result.dump(-1, ' ', false, json::error_handler_t::replace).c_str());
  return 1;
}

int print(const Status& status) { return status ? print(json::object()) : print(status.error()); }

std::string read_all(std::istream& in) { return {std::istreambuf_iterator<char>(in), {}}; }

int start(const std::string& path) {
  std::ifstream file;
  if (path != "-") {
    file.open(path);
    if (!file) return print(Error{Origin::kOperator, path, "cannot read it"});
  }
  auto spec = lxc::parse_launch_spec(read_all(path == "-" ? std::cin : file));
  if (!spec) return print(spec.error());
  auto started = lxc::start_container(*spec);
  if (!started) return print(started.error());
  auto cold_start = std::chrono::duration_cast<std::chrono::microseconds>(started->cold_start).count();
  return print({{"name", started->name}, {"init_pid", started->init_pid}, {"cold_start_us", cold_start}});
}

int list(const std::string& state_folder) {
  auto found = lxc::list_containers(state_folder);
  if (!found) return print(found.error());
  json containers = json::array();
  for (const lxc::ContainerFound& c : *found)
    containers.push_back(
        {{"name", c.name}, {"running", c.running}, {"init_pid", c.init_pid}, {"run_folder", c.run_folder}});
  return print({{"containers", containers}});
}

int set_network(const std::string& state_folder, const std::string& name) {
  auto grants = lxc::parse_network_grants(read_all(std::cin));
  if (!grants) return print(grants.error());
  return print(lxc::set_container_network(state_folder, name, *grants));
}

}  // namespace

int main(int argc, char** argv) {
  std::string verb, name, state_folder, spec;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    bool has_value = i + 1 < argc;
    if ((argument == "--stop" || argument == "--network") && has_value) {
      verb = argument;
      name = argv[++i];
    } else if (argument == "--list" || argument == "--clean") {
      verb = argument;
    } else if (argument == "--state-folder" && has_value) {
      state_folder = argv[++i];
    } else if (spec.empty() && (argument == "-" || argument[0] != '-')) {
      spec = argument;
    } else {
      return usage();
    }
  }
  if (verb.empty()) return spec.empty() ? usage() : start(spec);
  if (state_folder.empty() || !spec.empty()) return usage();
  if (name.find('/') != std::string::npos || (!name.empty() && name[0] == '.')) return usage();
  if (verb == "--stop") return print(lxc::stop_container(state_folder, name));
  if (verb == "--network") return set_network(state_folder, name);
  if (verb == "--list") return list(state_folder);
  return print(lxc::clean_up_containers(state_folder));
}
