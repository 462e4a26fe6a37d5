#include "cli/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <set>

#include "cli/exit_codes.h"

namespace netserv::cli {
namespace {

using nlohmann::json;

std::string cell(const json& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return value.get<std::string>().empty() ? "-" : printable(value.get<std::string>());
  std::string out;
  if (value.is_object()) {  // counters: those that have counted
    for (const auto& [name, field] : value.items())
      if (field != 0) out += (out.empty() ? "" : ", ") + printable(name) + "=" + cell(field);
    return out.empty() ? "-" : out;
  }
  if (!value.is_array()) return printable(dump(value));
  for (const json& element : value) out += (out.empty() ? "" : ",") + cell(element);
  return out.empty() ? "-" : out;
}

bool is_table(const json& value) {
  return value.is_array() && !value.empty() &&
         std::all_of(value.begin(), value.end(), [](const json& row) { return row.is_object(); });
}

std::string describe_table(const json& rows) {
  std::set<std::string> names;
  for (const json& row : rows)
    for (const auto& [name, value] : row.items()) names.insert(name);
  std::vector<std::vector<std::string>> lines{{names.begin(), names.end()}};
  for (const json& row : rows) {
    lines.emplace_back();
    for (const std::string& name : names) lines.back().push_back(row.contains(name) ? cell(row[name]) : "-");
  }
  return in_columns(lines);
}

// A module that has FAILED is told about by a PROBE that has succeeded: what counts is the module's own code.
ncm::StatusCode code_to_show(const ncm::Response& r) {
  json body = json::parse(r.body, nullptr, false);
  if (r.state != "FAILED" || !body.is_object() || !body.contains("modules") || !body["modules"].is_array()) return r.code;
  for (const json& module : body["modules"])
    if (module.is_object() && module.contains("code") && module["code"].is_number_unsigned())
      return static_cast<ncm::StatusCode>(module["code"].get<std::uint16_t>());
  return r.code;
}

int exit_code_of_status(ncm::StatusCode code) {
  if (!ncm::is_failure(code)) return kExitOk;
  if (code == ncm::StatusCode::kNoAnswer) return kExitTimeout;
  if (ncm::class_of(code) == ncm::StatusClass::kSignallingFailure) return kExitUnavailable;  // nobody was asked
  return ncm::class_of(code) == ncm::StatusClass::kTransientFailure ? kExitFailed : kExitRefused;
}

}  // namespace

std::string what_next(ncm::StatusCode code, std::string_view object) {
  switch (code) {
    case ncm::StatusCode::kUnknownPublisher: return "; its operator adds you with your public key (KEY.pub)";
    case ncm::StatusCode::kMissingHeader: return object == "digest" ? "; give --module-file, --fetch-digest or --digest" : "";
    default: return "";
  }
}

int exit_code_of(const Error& error) {
  if (error.code > 0 && error.code < 100) return error.code;
  if (error.code < 300) return kExitFailed;
  return exit_code_of_status(ncm::status_of(error));
}

int exit_code_of(const ncm::Response& response) {
  return response.state == "FAILED" ? kExitFailed : exit_code_of_status(response.code);
}

int explain(const Error& error, bool as_json) {
  if (as_json)
    std::cout << dump({{"error", {{"subject", error.subject}, {"text", error.text}, {"code", error.code}}}}) << std::endl;
  std::cerr << "netserv: " << printable(error.message()) << "\n";
  return exit_code_of(error);
}

json to_json(const ncm::Response& r) {
  json body = json::parse(r.body, nullptr, false);
  if (body.is_discarded()) body = r.body.empty() ? json() : json(r.body);
  return {{"class", static_cast<int>(ncm::class_of(r.code))},
          {"code", ncm::number(r.code)},
          {"object", r.object},
          {"text", r.text},
          {"id", r.id},
          {"node", r.node},
          {"state", r.state},
          {"body", body}};
}

std::string describe_failure(const ncm::Response& r) {
  ncm::StatusCode code = code_to_show(r);
  if (!ncm::is_failure(code)) return fmt::format("{}: {}", r.object, r.text);
  return fmt::format("{}: {} ({} {})", r.object, r.text, to_string(ncm::class_of(code)), ncm::number(code));
}

std::string state_and_text(const ncm::Response& r) {
  if (r.state.empty()) return r.text;
  return r.text == r.state ? r.state : r.state + " " + r.text;
}

int show(const ncm::Response& r, bool as_json) {
  int code = exit_code_of(r);
  if (as_json) {
    std::cout << dump(to_json(r)) << std::endl;
    return code;
  }
  std::string where = r.node.empty() ? "" : r.node + ": ";
  if (code != kExitOk) {
    std::cerr << printable("netserv: " + where + describe_failure(r) + what_next(r.code, r.object)) << "\n";
    return code;
  }
  std::cout << printable(where + r.object + " " + state_and_text(r)) << "\n";
  json body = json::parse(r.body, nullptr, false);
  if (!body.is_discarded() && !body.empty()) std::cout << describe_value(body);
  std::cout.flush();
  return code;
}

std::string in_columns(const std::vector<std::vector<std::string>>& lines) {
  std::vector<std::size_t> widths;
  for (const auto& line : lines) {
    widths.resize(std::max(widths.size(), line.size()));
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string out;
  for (const auto& line : lines) {
    std::string text;
    for (std::size_t i = 0; i < line.size(); ++i) text += fmt::format("{:<{}}  ", line[i], widths[i]);
    text.erase(text.find_last_not_of(' ') + 1);
    out += printable(std::move(text)) + "\n";
  }
  return out;
}

std::string printable(std::string text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto byte = [&](std::size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0; };
    if (byte(i) < 0x20 || byte(i) == 0x7f) text[i] = ' ';
    if (byte(i) == 0xc2 && byte(i + 1) >= 0x80 && byte(i + 1) < 0xa0) text.replace(i, 2, "  ");
  }
  return text;
}

std::string text_of(const json& object, const char* key) {
  auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : "";
}

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

std::string describe_value(const json& value) {
  if (is_table(value)) return describe_table(value);
  if (!value.is_object()) return cell(value) + "\n";
  std::size_t width = 0;
  for (const auto& [name, field] : value.items()) width = std::max(width, name.size());
  std::string out;
  for (const auto& [name, field] : value.items())
    out += is_table(field) ? printable(name) + "\n" + describe_table(field)
                           : fmt::format("{:<{}}  {}\n", printable(name), width, cell(field));
  return out;
}

}  // namespace netserv::cli
