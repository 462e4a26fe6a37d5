#include "wire/nslp/parts.h"

#include <algorithm>

#include "wire/ncm/status.h"

namespace netserv::nslp {
namespace {
constexpr std::uint8_t kType = 4;
constexpr std::size_t kHead = 12;
constexpr std::size_t kPiece = kMaxPayload - kHead;
static_assert(kMaxParts * kPiece == kMaxMessage);
}  // namespace

bool is_part(ByteSpan payload) {
  return payload.size() >= 2 && payload[0] == std::byte(kVersion) && payload[1] == std::byte(kType);
}

Result<Part> decode_part(ByteSpan payload) {
  ByteReader in(payload);
  in.skip(2);
  Part part;
  part.number = in.u8();
  part.count = in.u8();
  part.id = in.u32();
  const std::uint32_t reserved = in.u32();
  const ByteSpan piece = in.rest();
  part.bytes.assign(piece.begin(), piece.end());
  const bool last = part.number + 1 == part.count;
  const bool sound = is_part(payload) && in.ok() && reserved == 0 && part.count >= 2 && part.count <= kMaxParts &&
                     part.number < part.count && !piece.empty() && piece.size() <= kPiece && (last || piece.size() == kPiece);
  if (!sound) return ncm::refuse(ncm::StatusCode::kSyntax, "part", "is not as parts of a message are");
  return part;
}

std::vector<Bytes> split(Bytes message, std::uint32_t id) {
  if (message.size() <= kMaxPayload) return {std::move(message)};
  std::vector<Bytes> out;
  const std::size_t count = (message.size() + kPiece - 1) / kPiece;
  for (std::size_t at = 0; at < message.size(); at += kPiece) {
    ByteWriter part;
    part.u8(kVersion);
    part.u8(kType);
    part.u8(static_cast<std::uint8_t>(out.size()));
    part.u8(static_cast<std::uint8_t>(count));
    part.u32(id);
    part.u32(0);
    part.bytes(ByteSpan(message).subspan(at, std::min(kPiece, message.size() - at)));
    out.push_back(part.take());
  }
  return out;
}

std::optional<Bytes> Assembly::add(Part part) {
  if (part.id != id_ || part.count != count_) *this = {};
  id_ = part.id;
  count_ = part.count;
  parts_[part.number] = std::move(part.bytes);
  Bytes whole;
  for (std::size_t i = 0; i < count_; ++i) {
    if (parts_[i].empty()) return std::nullopt;
    whole.insert(whole.end(), parts_[i].begin(), parts_[i].end());
  }
  *this = {};
  return whole;
}

}  // namespace netserv::nslp
