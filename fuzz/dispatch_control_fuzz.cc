// What netservd and a container say to each other: any bytes decode or are refused, and what decodes encodes to
// the same bytes.
#include <cstdint>
#include <cstdlib>

#include "wire/ipc/archive.h"
#include "wire/ipc/container_messages.h"

namespace {

using namespace netserv;

template <class Message>
void round_trip(ByteSpan input) {
  auto message = ipc::decode<Message>(input);
  if (!message) return;
  Bytes again = ipc::encode(*message);
  auto second = ipc::decode<Message>(again);
  if (!second || !(*second == *message)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteSpan input(reinterpret_cast<const std::byte*>(data), size);
  round_trip<ipc::ToContainer>(input);
  round_trip<ipc::FromContainer>(input);
  return 0;
}
