#include "transport/api_client.h"

#include <poll.h>

namespace netserv::transport {

Result<ApiClient> ApiClient::open(const std::string& path, const Register& registration) {
  NETSERV_ASSIGN(sys::UniqueFd fd, sys::connect_seqpacket(path));
  ApiClient client;
  client.channel_ = sys::Channel(std::move(fd));
  NETSERV_TRY(client.send(registration));
  for (;;) {
    pollfd p{client.fd(), POLLIN, 0};
    if (::poll(&p, 1, 5000) == 0) return fail(Origin::kSystem, path, "no answer");
    NETSERV_ASSIGN(auto indication, client.next());
    if (!indication) continue;
    const auto* answer = std::get_if<Registered>(&*indication);
    if (answer == nullptr) continue;
    if (!answer->refusal.empty()) return fail(Origin::kOperator, path, answer->refusal);
    return client;
  }
}

Result<std::optional<ApiIndication>> ApiClient::next() {
  sys::Datagram message;
  NETSERV_ASSIGN(auto got, channel_.receive(message, kMaxApiMessage));
  if (got == sys::Channel::Received::kClosed) return fail(Origin::kSystem, "gistd", "closed the connection");
  if (got == sys::Channel::Received::kNothing) return std::optional<ApiIndication>();
  NETSERV_ASSIGN(ApiIndication indication, decode_indication(message.bytes));
  return std::optional<ApiIndication>(std::move(indication));
}

}  // namespace netserv::transport
