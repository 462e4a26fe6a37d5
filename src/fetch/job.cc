#include "fetch/job.h"

#include <nlohmann/json.hpp>

#include "wire/ncm/status.h"

namespace netserv::fetch {
namespace {

using Json = nlohmann::json;

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json prefixes_json(const std::vector<Prefix>& prefixes) {
  Json out = Json::array();
  for (const Prefix& prefix : prefixes) out.push_back(prefix.to_string());
  return out;
}

Result<std::vector<Prefix>> prefixes_of(const Json& json, const char* key) {
  std::vector<Prefix> out;
  if (!json.contains(key)) return out;
  for (const Json& text : json[key]) {
    if (!text.is_string()) return fail(Origin::kSystem, key, "not a list of prefixes");
    NETSERV_ASSIGN(Prefix prefix, Prefix::parse(text.get<std::string>()));
    out.push_back(prefix);
  }
  return out;
}

Json object_of(std::string_view text) { return Json::parse(text.begin(), text.end(), nullptr, false); }

// The value, or what is in `out` already; false if it has another type.
template <class T>
bool read(const Json& json, const char* key, T& out) {
  auto it = json.find(key);
  if (it == json.end()) return true;
  if constexpr (std::is_same_v<T, std::string>) {
    if (!it->is_string()) return false;
  } else {
    if (!it->is_number_unsigned() && !(it->is_number_integer() && it->template get<std::int64_t>() >= 0)) return false;
  }
  out = it->template get<T>();
  return true;
}

}  // namespace

bool FetchJob::operator==(const FetchJob& o) const {
  return encode_job(*this) == encode_job(o);
}

std::string encode_job(const FetchJob& job) {
  return dump(Json{{"url", job.url},
                   {"output", job.output},
                   {"sha256", job.sha256},
                   {"ca_file", job.ca_file},
                   {"max_bytes", job.max_bytes},
                   {"max_redirects", job.max_redirects},
                   {"deadline_ms", job.deadline.count()},
                   {"slow_bytes_per_second", job.slow_bytes_per_second},
                   {"slow_for_s", job.slow_for.count()},
                   {"allowed", prefixes_json(job.rules.allowed)},
                   {"own", prefixes_json(job.rules.own)},
                   {"uid", job.identity.uid},
                   {"gid", job.identity.gid}});
}

Result<FetchJob> decode_job(std::string_view text) {
  Json json = object_of(text);
  if (!json.is_object()) return fail(Origin::kSystem, "fetch job", "not a JSON object");
  FetchJob job;
  std::int64_t deadline_ms = job.deadline.count(), slow_for = job.slow_for.count();
  bool sound = read(json, "url", job.url) && read(json, "output", job.output) && read(json, "sha256", job.sha256) &&
               read(json, "ca_file", job.ca_file) && read(json, "max_bytes", job.max_bytes) &&
               read(json, "max_redirects", job.max_redirects) && read(json, "deadline_ms", deadline_ms) &&
               read(json, "slow_bytes_per_second", job.slow_bytes_per_second) && read(json, "slow_for_s", slow_for) &&
               read(json, "uid", job.identity.uid) && read(json, "gid", job.identity.gid);
  if (!sound) return fail(Origin::kSystem, "fetch job", "a field has the wrong type");
  if (job.url.empty() || job.output.empty()) return fail(Origin::kSystem, "fetch job", "url and output are required");
  job.deadline = std::chrono::milliseconds(deadline_ms);
  job.slow_for = std::chrono::seconds(slow_for);
  NETSERV_ASSIGN(job.rules.allowed, prefixes_of(json, "allowed"));
  NETSERV_ASSIGN(job.rules.own, prefixes_of(json, "own"));
  return job;
}

std::string encode_progress(std::uint64_t bytes, std::uint64_t total) {
  return dump(Json{{"progress", {{"bytes", bytes}, {"total", total}}}});
}

std::string encode_answer(const Result<Fetched>& answer) {
  if (answer) return dump(Json{{"ok", true}, {"bytes", answer->bytes}, {"sha256", answer->sha256}});
  const Error& e = answer.error();
  return dump(Json{{"ok", false}, {"origin", to_string(e.origin)}, {"subject", e.subject}, {"text", e.text},
                   {"code", e.code}});
}

Result<Fetched> decode_answer(std::string_view line) {
  Json json = object_of(line);
  Fetched fetched;
  Error error{Origin::kSystem, "", "", number(ncm::StatusCode::kInternal)};
  if (!json.is_object() || !json.contains("ok") || !json["ok"].is_boolean() || !read(json, "bytes", fetched.bytes) ||
      !read(json, "sha256", fetched.sha256) || !read(json, "subject", error.subject) ||
      !read(json, "text", error.text) || !read(json, "code", error.code))
    return ncm::refuse(ncm::StatusCode::kInternal, "download helper", "died or gave no answer that can be read");
  if (json["ok"].get<bool>()) return fetched;
  std::string origin;
  read(json, "origin", origin);
  for (Origin o : {Origin::kPeer, Origin::kPublisher, Origin::kOperator})
    if (origin == to_string(o)) error.origin = o;
  return fail(std::move(error));
}

bool decode_progress(std::string_view line, Progress& out) {
  Json json = object_of(line);
  return json.is_object() && json.contains("progress") && json["progress"].is_object() &&
         read(json["progress"], "bytes", out.bytes) && read(json["progress"], "total", out.total);
}

std::string encode_notified(const Notified& n) {
  return dump(Json{{"posted", n.posted}, {"dropped", n.dropped}, {"error", n.error}});
}

Result<Notified> decode_notified(std::string_view line) {
  Json json = object_of(line);
  Notified out;
  if (!json.is_object() || !read(json, "posted", out.posted) || !read(json, "dropped", out.dropped) ||
      !read(json, "error", out.error))
    return fail(Origin::kSystem, "notification helper", "died or gave no answer that can be read");
  return out;
}

}  // namespace netserv::fetch
