// What a .wasm file is, and whether a node would take it: `netserv module inspect`.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"

namespace netserv::cli {

// The facts as one JSON object: file, bytes, sha256, code_bytes, accepted, and if so id (to be used in SETUP), manifest, imports, exports,
// memory_pages; else refusal. The check runs in a child process with limits, since the file may be a stranger's. An
// error only if the file cannot be read or the child not made.
Result<nlohmann::json> module_facts(const std::string& path);

// The same for people.
std::string describe(const nlohmann::json& facts);

}  // namespace netserv::cli
