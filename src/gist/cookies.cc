#include "gist/cookies.h"

#include <algorithm>

namespace netserv::gist {
namespace {

constexpr std::size_t kMacSize = 16;
constexpr std::size_t kFlagsAt = 13;
constexpr std::uint8_t kAssociation = 1, kHasMri = 2, kHasNli = 4;

void put_blob(ByteWriter& out, const Bytes& blob) {
  out.u16(static_cast<std::uint16_t>(blob.size()));
  out.bytes(blob);
}

Bytes clear_part(std::uint64_t generation, const CookieContents& c) {
  ByteWriter out;
  out.u64(generation);
  out.u32(c.interface);
  out.u8(c.ip_distance);
  out.u8(static_cast<std::uint8_t>((c.association ? kAssociation : 0) | (c.local_mri ? kHasMri : 0) |
                                   (c.local_nli ? kHasNli : 0)));
  ByteWriter mri, nli;
  if (c.local_mri) encode_mri(mri, *c.local_mri);
  if (c.local_nli) encode_nli(nli, *c.local_nli);
  out.u8(static_cast<std::uint8_t>(mri.size() / 4));
  out.u8(static_cast<std::uint8_t>(nli.size() / 4));
  out.bytes(mri.view());
  out.bytes(nli.view());
  return out.take();
}

// In constant time.
bool equal(ByteSpan a, ByteSpan b) {
  if (a.size() != b.size()) return false;
  std::byte difference{0};
  for (std::size_t i = 0; i < a.size(); ++i) difference |= a[i] ^ b[i];
  return difference == std::byte{0};
}

}  // namespace

Bytes CookieJar::make(const CookieClaim& claim, const CookieContents& contents, TimePoint now) {
  const RollingSecret::Secret& secret = secret_.current(now);
  Bytes cookie = clear_part(secret.generation, contents);
  const Bytes tag = mac(secret, cookie, claim);
  cookie.insert(cookie.end(), tag.begin(), tag.end());
  return cookie;
}

std::optional<CookieContents> CookieJar::check(ByteSpan cookie, const CookieClaim& claim, TimePoint now) {
  if (cookie.size() < 16 + kMacSize) return std::nullopt;
  const ByteSpan clear = cookie.first(cookie.size() - kMacSize);
  ByteReader in(clear);
  const RollingSecret::Secret* secret = secret_.find(in.u64(), now);
  if (!secret || !equal(mac(*secret, clear, claim), cookie.last(kMacSize))) return std::nullopt;

  CookieContents c;
  c.interface = in.u32();
  c.ip_distance = in.u8();
  const std::uint8_t flags = in.u8();
  const std::size_t mri_size = in.u8() * 4u, nli_size = in.u8() * 4u;
  c.association = flags & kAssociation;
  const ByteSpan mri = in.take(mri_size), nli = in.take(nli_size);
  if ((flags & kHasMri) && decode_mri(mri, c.local_mri.emplace())) return std::nullopt;
  if ((flags & kHasNli) && decode_nli(nli, c.local_nli.emplace())) return std::nullopt;
  return c;
}

Bytes CookieJar::mac(const RollingSecret::Secret& secret, ByteSpan clear, const CookieClaim& claim) {
  ByteWriter data;
  ByteWriter mri;
  encode_mri(mri, claim.mri);
  put_blob(data, Bytes(clear.begin(), clear.end()));
  put_blob(data, mri.view());
  put_blob(data, claim.peer_identity);
  // Behind a NAT the Confirm's address is the untranslated one, which the Query did not show.
  if (!(std::to_integer<unsigned>(clear[kFlagsAt]) & kHasNli)) {
    data.u8(static_cast<std::uint8_t>(claim.peer_address.bits() / 8));
    data.bytes(claim.peer_address.bytes());
  }
  data.bytes(claim.session.bytes);
  data.u16(claim.nslp.value());
  const Digest digest = crypto_.hmac(secret.key, data.view());
  return Bytes(digest.begin(), digest.begin() + kMacSize);
}

}  // namespace netserv::gist
