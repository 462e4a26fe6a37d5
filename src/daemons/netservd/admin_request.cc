#include "daemons/netservd/admin_request.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "wire/ncm/status.h"

namespace netserv::daemon {
namespace {

using Verb = AdminRequest::Verb;

constexpr std::pair<std::string_view, Verb> kVerbs[] = {
    {"status", Verb::kStatus}, {"modules", Verb::kModules}, {"containers", Verb::kContainers},
    {"events", Verb::kEvents}, {"logs", Verb::kLogs},       {"drain", Verb::kDrain},
    {"undrain", Verb::kUndrain}, {"disable", Verb::kDisable}, {"enable", Verb::kEnable}};

}  // namespace

Result<AdminRequest> decode_admin_request(std::string_view line) {
  const auto json = nlohmann::json::parse(line.begin(), line.end(), nullptr, false);
  if (!json.is_object())
    return ncm::refuse(ncm::StatusCode::kSyntax, "request", "is not a JSON object on a line");
  auto text = [&](const char* key) {
    auto it = json.find(key);
    return it != json.end() && it->is_string() ? it->get<std::string>() : "";
  };
  AdminRequest out;
  const std::string verb = text("verb");
  auto known = std::find_if(std::begin(kVerbs), std::end(kVerbs), [&](const auto& v) { return v.first == verb; });
  if (known == std::end(kVerbs))
    return ncm::refuse(ncm::StatusCode::kUnknownVerb, "verb", "\"" + verb + "\" is not known");
  out.verb = known->second;
  out.publisher = text("publisher");
  out.module = text("module");
  if (auto last = json.find("last"); last != json.end() && last->is_number_unsigned()) out.last = last->get<std::size_t>();
  if (auto follow = json.find("follow"); follow != json.end() && follow->is_boolean()) out.follow = follow->get<bool>();
  return out;
}

}  // namespace netserv::daemon
