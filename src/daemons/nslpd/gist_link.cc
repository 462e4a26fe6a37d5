#include "daemons/nslpd/gist_link.h"

#include "base/log.h"

namespace netserv::daemons {
namespace {
constexpr std::size_t kMaxMessage = 64 * 1024;
constexpr Duration kRetry = std::chrono::milliseconds(500);
}  // namespace

GistLink::GistLink(sys::EventLoop& loop, std::string path, gist::Attach attach, Handlers handlers)
    : loop_(loop), path_(std::move(path)), attach_(std::move(attach)), handlers_(std::move(handlers)) {
  loop_.post([this] { connect(); });
}

void GistLink::connect() {
  auto fd = sys::connect_seqpacket(path_);
  if (!fd) return drop(fd.error().message());
  channel_ = sys::Channel(*std::move(fd));
  readable_ = loop_.on_io(channel_.fd(), EPOLLIN, [this](std::uint32_t) { read(); });
  if (Status sent = channel_.send(gist::encode_api_message(attach_)); !sent) drop(sent.error().message());
}

void GistLink::send(const gist::ApiMessage& message) {
  if (!attached_) return;
  if (Status sent = channel_.send(gist::encode_api_message(message)); !sent) drop(sent.error().message());
}

void GistLink::read() {
  sys::Datagram packet;
  // A turn is bounded, so that timers and clients are heard too.
  for (int i = 0; i < 64 && channel_.open(); ++i) {
    auto got = channel_.receive(packet, kMaxMessage);
    if (!got) return drop(got.error().message());
    if (*got == sys::Channel::Received::kClosed) return drop("closed the connection");
    if (*got == sys::Channel::Received::kNothing) return;
    auto message = gist::decode_api_message(packet.bytes);
    if (!message) return drop(message.error().message());
    if (const auto* reply = std::get_if<gist::AttachReply>(&*message)) {
      if (!reply->accepted) return drop(reply->text);
      log_info({.name = "gistd"}, "attached, NSLPID {}", attach_.nslp.value());
      attached_ = true;
      complained_ = false;
      handlers_.attached();
    } else {
      handlers_.message(*message);
    }
  }
}

void GistLink::drop(std::string_view why) {
  if (!complained_) log_warning({.name = "gistd"}, "not connected: {}", why);
  complained_ = true;
  attached_ = false;
  readable_.reset();
  channel_.close();
  retry_ = loop_.after(kRetry, [this] { connect(); });
}

}  // namespace netserv::daemons
