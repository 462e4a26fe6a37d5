#include "compile/answer.h"

#include <nlohmann/json.hpp>

namespace netserv::compile {

using Json = nlohmann::json;

Result<HelperResult> decode_answer(std::string_view text) {
  const Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  auto malformed = [] { return fail(Origin::kSystem, "compile helper", "gave an answer that can't be read"); };
  if (!json.is_object() || !json.contains("ok") || !json["ok"].is_boolean()) return malformed();
  auto member = [&](const char* key) {
    return json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : std::string();
  };
  if (!json["ok"].get<bool>()) {
    Error error{Origin::kSystem, member("subject"), member("text")};
    for (Origin origin : {Origin::kPeer, Origin::kPublisher, Origin::kOperator})
      if (member("origin") == to_string(origin)) error.origin = origin;
    return fail(std::move(error));
  }
  if (!json.contains("manifest") || !json.contains("memory_pages") || !json["memory_pages"].is_number_unsigned())
    return malformed();
  HelperResult out;
  NETSERV_ASSIGN(out.manifest, decode_manifest(json["manifest"].dump()));
  out.memory_pages = json["memory_pages"].get<std::uint32_t>();
  return out;
}

}  // namespace netserv::compile
