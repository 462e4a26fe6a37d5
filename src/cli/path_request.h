// A request that goes along the path towards an address, by the nslpd of this host, and the table of what the nodes
// answered.
#pragma once

#include <string>

#include "cli/request_builder.h"
#include "client/path.h"

namespace netserv::cli {

struct PathOptions {
  std::string socket = nslp::kDefaultClientSocket;
  std::string toward;  // the user's address
  std::string source;  // the flow's; empty: this host's address towards it
  bool trigger = false;
  unsigned timeout_seconds = 60;
  bool no_wait = false;
  bool print_only = false;
  bool json = false;
};

// Builds, signs, sends, follows installations, shows. Returns the exit code.
int run_along_path(RequestOptions request, const PathOptions& path);

// A line a node in path order, or the same as one JSON value.
std::string path_table(const client::PathAnswer& answer);
std::string path_json(const client::PathAnswer& answer, const client::Route& route);
// kExitOk: all that were asked did it; kExitPartly: some; else kExitRefused, kExitFailed, kExitTimeout by what was
// answered, and kExitUnavailable if no node did.
int exit_code_of(const client::PathAnswer& answer);

}  // namespace netserv::cli
