#include "client/requests.h"

#include <sys/random.h>

#include <algorithm>
#include <array>

#include "auth/authenticator.h"
#include "sys/clock.h"
#include "wire/ncm/status.h"

namespace netserv::client {
namespace {

using Body = std::variant<ncm::Setup, ncm::Remove, ncm::Probe>;

Result<PathAnswer> call(Path& path, Body body, const Publisher& publisher, const CallOptions& options) {
  std::array<std::byte, 16> nonce;
  if (::getrandom(nonce.data(), nonce.size(), 0) != static_cast<ssize_t>(nonce.size()))
    return fail(Origin::kSystem, "nonce", "the system's random source gave no bytes");
  ncm::Signer signer;
  signer.user = publisher.user;
  signer.nonce = to_hex(nonce);
  signer.expires = std::chrono::floor<std::chrono::seconds>(sys::wall_now()) + options.valid;
  signer.toward = options.trigger ? path.route().source : path.route().destination;
  signer.nodes = options.nodes;
  ncm::Message message = ncm::to_message(body, signer);
  auth::sign_message(message, publisher.key);
  return path.send(message, options.trigger, options.timeout);
}

}  // namespace

Result<PathAnswer> setup(Path& path, const ncm::Setup& body, const Publisher& publisher, const CallOptions& options) {
  return call(path, body, publisher, options);
}
Result<PathAnswer> remove(Path& path, const ncm::Remove& body, const Publisher& publisher, const CallOptions& options) {
  return call(path, body, publisher, options);
}
Result<PathAnswer> probe(Path& path, const ncm::Probe& body, const Publisher& publisher, const CallOptions& options) {
  return call(path, body, publisher, options);
}

bool is_installing(const nslp::Entry& e) {
  if (ncm::is_failure(e.code)) return false;
  return e.code == ncm::StatusCode::kInstalling || e.state == "INSTALLING" || e.state == "INSTALLED" ||
         e.state == "RESOLVED" || e.state == "STARTING";
}

Result<bool> follow(Path& path, const ncm::Message& probe, bool trigger, std::chrono::milliseconds timeout, PathAnswer& answer) {
  NETSERV_ASSIGN(PathAnswer now, path.send(probe, trigger, timeout));
  for (NodeAnswer& node : answer.nodes) {
    if (!is_installing(node.entry)) continue;
    const auto same = std::find_if(now.nodes.begin(), now.nodes.end(), [&](const NodeAnswer& n) {
      return n.entry.node == node.entry.node && n.entry.address == node.entry.address;
    });
    // A node that a lost message hid this time is asked again.
    if (same == now.nodes.end() || same->entry.code == ncm::StatusCode::kNotSelected) continue;
    const nslp::Entry said = same->entry;
    node.entry.state = said.state;
    node.entry.text = said.text;
    node.entry.body = said.body;
    if (ncm::is_failure(said.code)) node.entry.code = said.code;
    else if (said.state == "FAILED") node.entry.code = ncm::StatusCode::kStartFailed;
    else if (!is_installing(said)) node.entry.code = ncm::StatusCode::kActive;
  }
  return std::none_of(answer.nodes.begin(), answer.nodes.end(), [](const NodeAnswer& n) { return is_installing(n.entry); });
}

}  // namespace netserv::client
