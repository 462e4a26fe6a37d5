// What NetServ's own processes say to each other over seqpacket sockets: netservd and a container, netservd and the
// forwarder, nslpd and its clients. Any bytes decode or are refused, and what decodes encodes to what decodes to itself.
#include <cstdint>

#include "base/bytes.h"
#include "wire/ipc/archive.h"
#include "wire/ipc/container_messages.h"
#include "wire/ipc/forwarder_messages.h"
#include "wire/nslp/client_messages.h"

namespace {

using namespace netserv;

template <class Message>
void round_trip(ByteSpan input) {
  auto message = ipc::decode<Message>(input);
  if (!message) return;
  const Bytes bytes = ipc::encode(*message);
  auto again = ipc::decode<Message>(bytes);
  NETSERV_CHECK(again && ipc::encode(*again) == bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteSpan input(reinterpret_cast<const std::byte*>(data), size);
  round_trip<ipc::ToContainer>(input);
  round_trip<ipc::FromContainer>(input);
  round_trip<ipc::ToForwarder>(input);
  round_trip<ipc::FromForwarder>(input);
  round_trip<nslp::ClientRequest>(input);
  round_trip<nslp::ClientReply>(input);
  return 0;
}
