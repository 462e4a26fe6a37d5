#include "plane/fake/fake_plane.h"

#include <algorithm>

#include "base/result.h"

namespace netserv::plane {

forward::Packet FakePlane::make(ByteSpan bytes, std::uint64_t received_ns, std::uint16_t ingress) {
  if (free_.empty()) {
    free_.push_back(buffers_.size());
    buffers_.emplace_back().bytes.resize(kRoom);
  }
  std::size_t place = free_.back();
  free_.pop_back();
  Buffer& b = buffers_[place];
  b.used = true;
  b.number = next_number_++;
  b.length = std::min(bytes.size(), kRoom);
  std::copy_n(bytes.begin(), b.length, b.bytes.begin());
  ++held_;
  return {place,   b.bytes.data(), static_cast<std::uint32_t>(b.length), kRoom, static_cast<std::uint32_t>(bytes.size()),
          ingress, 0xffff,         received_ns};
}

void FakePlane::finish(std::span<const forward::Outcome> outcomes) {
  for (const forward::Outcome& o : outcomes) {
    NETSERV_CHECK(o.cookie < buffers_.size() && buffers_[o.cookie].used);
    Buffer& b = buffers_[o.cookie];
    bool rewritten = o.fate == forward::Fate::kPassChanged || o.fate == forward::Fate::kReply;
    ByteSpan left = rewritten ? ByteSpan(o.data, o.length) : ByteSpan(b.bytes).first(b.length);
    ended_.push_back({b.number, o.fate, Bytes(left.begin(), left.end())});
    b.used = false;
    free_.push_back(o.cookie);
    --held_;
  }
}

bool FakePlane::send(ByteSpan packet) {
  sent_.emplace_back(packet.begin(), packet.end());
  return true;
}

}  // namespace netserv::plane
