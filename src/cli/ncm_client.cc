#include "cli/ncm_client.h"

#include "cli/exit_codes.h"

namespace netserv::cli {

Result<NcmClient> NcmClient::connect(const std::string& path, std::chrono::milliseconds timeout) {
  NETSERV_ASSIGN(StreamClient stream, StreamClient::connect(path));
  return NcmClient(std::move(stream), timeout);
}

Result<ncm::Response> NcmClient::exchange(const ncm::Message& request) {
  NETSERV_TRY(stream_.send(ncm::print_message(request), timeout_));
  while (true) {
    NETSERV_ASSIGN(std::optional<ncm::Response> response, reader_.next());
    if (response) return std::move(*response);
    NETSERV_ASSIGN(std::string bytes, stream_.receive(timeout_));
    if (bytes.empty()) return fail(Origin::kPeer, "node", "closed the connection without an answer", kExitUnavailable);
    reader_.feed(bytes);
  }
}

bool is_installing(const ncm::Response& r) {
  if (ncm::is_failure(r.code)) return false;
  return r.code == ncm::StatusCode::kInstalling || r.state == "INSTALLING" || r.state == "INSTALLED" ||
         r.state == "RESOLVED" || r.state == "STARTING";
}

Result<ncm::Response> poll_until_final(const std::function<Result<ncm::Response>()>& probe, unsigned attempts,
                                       const std::function<void(const ncm::Response&)>& progress,
                                       const std::function<void()>& pause) {
  for (unsigned i = 0; i < attempts; ++i) {
    pause();
    NETSERV_ASSIGN(ncm::Response response, probe());
    progress(response);
    if (!is_installing(response)) return response;
  }
  return fail(Origin::kPeer, "module", "is still being installed; look again with: netserv probe ID", kExitTimeout);
}

}  // namespace netserv::cli
