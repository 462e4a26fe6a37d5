#include "auth/authenticator.h"

#include <fmt/format.h>

#include "wire/ncm/status.h"

namespace netserv::auth {
namespace {

using ncm::refuse;
using ncm::StatusCode;

Status check_expiry(const std::optional<WallTime>& expires, WallTime now) {
  if (!expires) return {};
  if (*expires <= now) return refuse(StatusCode::kExpired, "expires", "has passed: sign the message anew (are both clocks right?)");
  if (*expires > now + kMaxExpiresAhead)
    return refuse(StatusCode::kExpiresTooFar, "expires", "may be at most 3600 seconds ahead (are both clocks right?)");
  return {};
}

}  // namespace

Status Authenticator::check_present(const ncm::Request& request) const {
  const ncm::Signer& s = request.signer;
  if (s.user.empty()) return refuse(StatusCode::kMissingHeader, "user", "is required");
  if (s.signature.empty()) return refuse(StatusCode::kUnsigned, "signature", "is required");
  if (requirements_.nonce && s.nonce.empty()) return refuse(StatusCode::kMissingHeader, "nonce", "is required by this node");
  if (requirements_.expires && !s.expires) return refuse(StatusCode::kMissingHeader, "expires", "is required by this node");
  // Without an end a nonce would have to be kept for ever.
  if (!s.nonce.empty() && !s.expires) return refuse(StatusCode::kMissingHeader, "expires", "is required with nonce");
  const auto* setup = std::get_if<ncm::Setup>(&request.body);
  if (setup && requirements_.digest && !setup->digest)
    return refuse(StatusCode::kMissingHeader, "digest", "is required by this node");
  return {};
}

Status Authenticator::check_signature(const ncm::Request& request) const {
  std::optional<PublicKey> key = keys_.find_key(PublisherId(request.signer.user));
  if (!key)
    return refuse(StatusCode::kUnknownPublisher, "user",
                  fmt::format("\"{}\" is no publisher of this node", request.signer.user));
  if (!verify(*key, ncm::signed_text(request.message), request.signer.signature))
    return refuse(StatusCode::kBadSignature, "signature",
                  fmt::format("does not match the message and the key of \"{}\"", request.signer.user));
  return {};
}

Result<Authenticated<ncm::Request>> Authenticator::authenticate(const ncm::Request& request, WallTime now) {
  NETSERV_TRY(check_present(request));
  NETSERV_TRY(check_signature(request));
  NETSERV_TRY(check_expiry(request.signer.expires, now));
  PublisherId publisher(request.signer.user);
  if (request.signer.nonce.empty()) return Authenticated<ncm::Request>(request, std::move(publisher), false);

  Sha256 fingerprint = sha256(as_bytes(ncm::signed_text(request.message)));
  NETSERV_ASSIGN(NonceUse use,
                 nonces_.claim(publisher, request.signer.nonce, to_hex(fingerprint), *request.signer.expires));
  if (use == NonceUse::kOtherMessage)
    return refuse(StatusCode::kNonceReused, "nonce", "was used in another message: choose a new one");
  return Authenticated<ncm::Request>(request, std::move(publisher), use == NonceUse::kSameMessage);
}

void sign_message(ncm::Message& message, const PrivateKey& key) {
  message.set("signature", sign(key, ncm::signed_text(message)));
}

}  // namespace netserv::auth
