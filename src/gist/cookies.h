// Responder-Cookies (RFC 5971, 8.5): liveness, arrival interface and hop distance in clear, bound by a MAC under
// a secret that rolls over to the peer's identity and address, MRI, NSLPID and SID. Nothing is stored for a
// handshake. The liveness is the secret's random generation number; the current and the previous secret count.
//
// Behind a GIST-aware NAT the Confirm carries the untranslated MRI and NLI, so the cookie itself carries the
// translated ones (7.2.3).
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/time.h"
#include "gist/environment.h"
#include "gist/rolling_secret.h"
#include "wire/gist/message.h"

namespace netserv::gist {

// What state a Confirm will install.
struct CookieClaim {
  Mri mri;  // the Query's, as it was sent
  SessionId session;
  NslpId nslp{};
  Bytes peer_identity;  // of the Query's NLI, as the Confirm will repeat them
  IpAddress peer_address;
};

// What the cookie brings back.
struct CookieContents {
  std::uint32_t interface = 0;
  std::uint8_t ip_distance = 0;
  bool association = false;  // the Response made a stack proposal
  std::optional<Mri> local_mri;
  std::optional<Nli> local_nli;
  bool operator==(const CookieContents&) const = default;
};

class CookieJar {
 public:
  // `crypto` must outlive the jar.
  CookieJar(Crypto& crypto, Duration secret_lifetime) : crypto_(crypto), secret_(crypto, secret_lifetime) {}

  Bytes make(const CookieClaim& claim, const CookieContents& contents, TimePoint now);
  // Empty if the cookie is not ours, too old, or bound to another claim. Claims behind a NAT are what the
  // Confirm says, which is what the Query said before translation.
  std::optional<CookieContents> check(ByteSpan cookie, const CookieClaim& claim, TimePoint now);

 private:
  Bytes mac(const RollingSecret::Secret& secret, ByteSpan clear, const CookieClaim& claim);

  Crypto& crypto_;
  RollingSecret secret_;
};

}  // namespace netserv::gist
