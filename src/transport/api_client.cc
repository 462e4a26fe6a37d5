#include "transport/api_client.h"

#include <poll.h>

namespace netserv::transport {

Result<ApiClient> ApiClient::open(const std::string& path, const gist::Attach& attach) {
  NETSERV_ASSIGN(sys::UniqueFd fd, sys::connect_seqpacket(path));
  ApiClient client;
  client.channel_ = sys::Channel(std::move(fd));
  NETSERV_TRY(client.send(attach));
  for (;;) {
    pollfd p{client.fd(), POLLIN, 0};
    if (::poll(&p, 1, 5000) == 0) return fail(Origin::kSystem, path, "no answer");
    NETSERV_ASSIGN(auto message, client.next());
    if (!message) continue;
    const auto* reply = std::get_if<gist::AttachReply>(&*message);
    if (reply == nullptr) return fail(Origin::kPeer, path, "an answer before AttachReply");
    if (!reply->accepted) return fail(Origin::kOperator, path, reply->text);
    return client;
  }
}

Result<std::optional<gist::ApiMessage>> ApiClient::next() {
  sys::Datagram packet;
  NETSERV_ASSIGN(auto got, channel_.receive(packet, kMaxApiMessage));
  if (got == sys::Channel::Received::kClosed) return fail(Origin::kSystem, "gistd", "closed the connection");
  if (got == sys::Channel::Received::kNothing) return std::optional<gist::ApiMessage>();
  NETSERV_ASSIGN(gist::ApiMessage message, gist::decode_api_message(packet.bytes));
  return std::optional<gist::ApiMessage>(std::move(message));
}

}  // namespace netserv::transport
