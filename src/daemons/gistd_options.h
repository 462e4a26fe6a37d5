// gistd's command line and configuration file (TOML, the same names).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemons/gistd_service.h"
#include "transport/intercept_rules.h"
#include "transport/tls.h"

namespace netserv::daemons {

struct GistdOptions {
  std::string socket;
  unsigned socket_mode = 0660;
  std::string user = "nobody";
  transport::InterceptOptions filter;
  std::vector<std::string> router_alert_interfaces;
  transport::TlsFiles tls_files;
  bool ingress_check = false;
  bool clean = false;
  GistdSettings settings;
  std::vector<std::string> peers;  // as written, in order
  std::string rest;                // all other options as written: what a reload does not take up
  bool tls() const { return !tls_files.certificate.empty(); }
};

// Empty when there is nothing to run: `exit_code` says why. Sets the log level.
std::optional<GistdOptions> read_gistd_options(int argc, char** argv, int& exit_code);

// The authorised peers; without any entry, everyone.
Result<std::vector<gist::AuthorisedPeer>> parse_peers(const std::vector<std::string>& texts);
// "allow|deny IDENTITY [PEER-PREFIX [FLOW-SOURCE [FLOW-DESTINATION]]]", "-" for any prefix.
Result<gist::AuthorisedPeer> parse_peer(const std::string& text);

}  // namespace netserv::daemons
