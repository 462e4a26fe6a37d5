#include "cli/admin_client.h"

#include "cli/exit_codes.h"
#include "cli/report.h"

namespace netserv::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kTimeout{10'000};
constexpr std::size_t kMaxLine = 1024 * 1024;

tl::unexpected<Error> refusal(const json& error) {
  if (!error.is_object()) return fail(Origin::kPeer, "node", "refused");
  auto code = error.find("code");
  int number = code != error.end() && code->is_number_integer() ? code->get<int>() : 0;
  return fail(Origin::kOperator, text_of(error, "subject"), text_of(error, "text"), number);
}

}  // namespace

Result<AdminClient> AdminClient::connect(const std::string& path) {
  NETSERV_ASSIGN(StreamClient stream, StreamClient::connect(path));
  return AdminClient(std::move(stream));
}

Result<json> AdminClient::next_line(bool wait_for_ever) {
  std::size_t end = 0;
  while ((end = buffer_.find('\n')) == std::string::npos) {
    if (buffer_.size() > kMaxLine) return fail(Origin::kPeer, "node", "sent a line without end");
    NETSERV_ASSIGN(std::string bytes, stream_.receive(wait_for_ever ? std::nullopt : std::optional(kTimeout)));
    if (bytes.empty()) return fail(Origin::kPeer, "node", "closed the connection", kExitUnavailable);
    buffer_ += bytes;
  }
  json line = json::parse(buffer_.substr(0, end), nullptr, false);
  buffer_.erase(0, end + 1);
  if (!line.is_object()) return fail(Origin::kPeer, "node", "sent a line that is no JSON object");
  return line;
}

Result<json> AdminClient::ask(const json& request, bool wait_for_ever, const std::function<void(const json&)>& event) {
  NETSERV_TRY(stream_.send(dump(request) + "\n", kTimeout));
  while (true) {
    NETSERV_ASSIGN(json line, next_line(wait_for_ever));
    if (line.contains("error")) return refusal(line["error"]);
    if (line.contains("ok")) return line.contains("result") ? line["result"] : json::object();
    if (line.contains("event")) event(line["event"]);
  }
}

}  // namespace netserv::cli
