// Makes signed requests out of what the command line gives.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "auth/keys.h"
#include "base/result.h"
#include "base/time.h"
#include "wire/ncm/message.h"

namespace netserv::cli {

struct RequestOptions {
  ncm::Verb verb = ncm::Verb::kProbe;
  std::string object;                           // module id or "*"
  std::string file;                             // message text to start from, "-" for standard input
  std::map<std::string, std::string> headers;   // as given; empty values are left out
  std::vector<std::string> properties;          // "key=value", escaped here
  std::string module_file;                      // its digest is signed, and for `nodes:matching` the building blocks it names
  bool fetch_digest = false;                    // of what the URL gives now
  std::string user, key_file;
  unsigned valid_seconds = 300;
  bool always_signed = false;                   // also a PROBE of what everybody may ask
};

// The whole message, checked as a node would check it, and signed unless it needs no signature or has one.
// `now` makes `expires`. Errors name the option or header.
Result<ncm::Message> build_request(const RequestOptions& options, WallTime now);

// 32 hex digits from the system's random source.
Result<std::string> new_nonce();
Result<auth::PrivateKey> load_private_key(const std::string& path);

}  // namespace netserv::cli
