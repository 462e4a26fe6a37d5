// Target: RingProducer against a container that writes whatever it likes. The input is a list of steps: writes to
// the shared memory, and the forwarder's own calls; the forwarder's books must balance after each.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "ring/ring_memory.h"
#include "ring/ring_producer.h"

using namespace netserv;
using namespace netserv::ring;

namespace {

// Everything before the packets' bytes: header, descriptors, completions.
void scribble(RingMapping& map, ByteReader& in) {
  std::size_t at = in.u16() % kEmitDataOffset;
  ByteSpan bytes = in.take(std::min<std::size_t>(in.u8() % 32, in.remaining()));
  at = std::min(at, kEmitDataOffset - bytes.size());
  std::copy(bytes.begin(), bytes.end(), map.bytes().begin() + static_cast<long>(at));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto ring = *RingProducer::create("/dev/shm");
  auto attacker = *RingMapping::map(ring->file_fd(), Guard::kNone);
  ByteReader in(ByteSpan(reinterpret_cast<const std::byte*>(data), size));
  std::array<bool, kSlots> submitted{};
  std::uint32_t count = 0;
  while (in.remaining() > 0) {
    RingHeader& h = attacker->header();
    switch (in.u8() % 10) {
      case 0: scribble(*attacker, in); break;
      case 1: h.complete_head.store(h.complete_tail.load() + in.u8()); break;
      case 2: h.emit_head.store(h.emit_tail.load() + in.u8()); break;
      case 3: {
        std::uint32_t slot = in.u16(), length = in.u16(), place = in.u16() % kSlots;
        attacker->complete()[place] = {slot, length, in.u8(), in.u8(), 0, 0, 0};
        break;
      }
      case 4: attacker->emit()[in.u8() % kEmitSlots] = {in.u8(), in.u16(), in.u8(), {}}; break;
      case 5:
      case 6:
        if (auto slot = ring->stage(as_bytes("packet"), {})) {
          NETSERV_CHECK(*slot < kSlots && !submitted[*slot]);
          submitted[*slot] = true;
          ++count;
        }
        ring->publish();
        break;
      case 7: {
        std::array<Reaped, 64> out;
        std::size_t n = ring->reap(out);
        for (std::size_t i = 0; i < n; ++i) {
          NETSERV_CHECK(submitted[out[i].slot] && out[i].verdict <= NETSERV_STEAL);
          NETSERV_CHECK(!out[i].changed || (out[i].length >= 1 && out[i].length <= kSlotBytes));
          submitted[out[i].slot] = false;
          --count;
          ring->release(out[i].slot);
        }
        break;
      }
      case 8:
        if (auto emitted = ring->take_emitted()) NETSERV_CHECK(emitted->packet.size() <= kSlotBytes);
        break;
      default: {
        std::uint32_t slot = in.u16() % kSlots;
        if (!submitted[slot]) break;
        ring->abandon(slot);
        submitted[slot] = false;
        --count;
      }
    }
    NETSERV_CHECK(ring->in_container() == count && ring->free_slots() + count <= kSlots);
  }
  return 0;
}
