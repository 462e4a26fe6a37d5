// What the netserv command says: errors with what to do next, answers as text or JSON, exit codes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "wire/ncm/response.h"

namespace netserv::cli {

// Error.code below 100 is one of exit_codes.h itself; otherwise an NCM code: transient failures are kExitFailed,
// other refusals kExitRefused; 0 is kExitFailed.
int exit_code_of(const Error& error);
int exit_code_of(const ncm::Response& response);

// Error on standard error, with --json as {"error":{...}} on standard output too. Returns the exit code.
int explain(const Error& error, bool as_json);

// {"class":..,"code":..,"object":..,"text":..,"id":..,"node":..,"state":..,"body":..}
nlohmann::json to_json(const ncm::Response& response);
// What went wrong: "OBJECT: TEXT (CLASS CODE)", the code that of the module if one has FAILED.
std::string describe_failure(const ncm::Response& response);
// "STATE TEXT", each once.
std::string state_and_text(const ncm::Response& response);
// The next step where a refusal alone does not show it: "; ...", else empty.
std::string what_next(ncm::StatusCode code, std::string_view object);
// One response for people: refusals on standard error. Returns the exit code.
int show(const ncm::Response& response, bool as_json);

// Other people's text on a terminal: blanks for control characters, those of C1 in UTF-8 too.
std::string printable(std::string text);
// One line each, made printable, the words of a column below each other.
std::string in_columns(const std::vector<std::vector<std::string>>& lines);
// An object's text; empty if it has none of that name.
std::string text_of(const nlohmann::json& object, const char* key);
// Any text as one line of JSON; bytes that are no UTF-8 are replaced.
std::string dump(const nlohmann::json& value);
// Fields of an object as "name  value" lines; a list of objects as a table.
std::string describe_value(const nlohmann::json& value);

}  // namespace netserv::cli
