// Says who sent a request, and that it is meant now and once. What the sender may do is policy.h's.
//
// Authenticated<T> can be made by the Authenticator alone, and policy accepts nothing else.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <variant>

#include "auth/keys.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "wire/ncm/request.h"

namespace netserv::auth {

inline constexpr std::chrono::seconds kMaxExpiresAhead{3600};

// Where a nonce stands. Kept until the message expires; must survive a restart.
enum class NonceUse : unsigned char {
  kNew,           // never seen: now remembered
  kSameMessage,   // seen, in the very same message: answer with the current result, change nothing
  kOtherMessage,  // seen in another message: refused
};

class NonceStore {
 public:
  virtual ~NonceStore() = default;
  // Looks up and remembers in one step. `fingerprint` stands for the whole message (hex SHA-256). May forget
  // the nonce once `expires` has passed. An error (disk) refuses the request.
  virtual Result<NonceUse> claim(const PublisherId& publisher, const std::string& nonce,
                                 const std::string& fingerprint, WallTime expires) = 0;
};

class KeyRing {
 public:
  virtual ~KeyRing() = default;
  // Nothing: no such publisher here.
  virtual std::optional<PublicKey> find_key(const PublisherId& publisher) const = 0;
};

template <class T>
class Authenticated {
 public:
  const T& operator*() const { return value_; }
  const T* operator->() const { return &value_; }
  const PublisherId& publisher() const { return publisher_; }
  // True for a message that was handled before: the answer is the current result, and nothing changes.
  bool repeated() const { return repeated_; }

  // Authenticated<Request> as one of its alternatives (Setup, Remove, Probe); nothing if it is another.
  template <class U>
  std::optional<Authenticated<U>> as() const {
    const U* body = std::get_if<U>(&value_.body);
    if (!body) return std::nullopt;
    return Authenticated<U>(*body, publisher_, repeated_);
  }

 private:
  friend class Authenticator;
  template <class>
  friend class Authenticated;
  Authenticated(T value, PublisherId publisher, bool repeated)
      : value_(std::move(value)), publisher_(std::move(publisher)), repeated_(repeated) {}

  T value_;
  PublisherId publisher_;
  bool repeated_;
};

// What every message must carry, besides user and signature. All false is the paper's Figure 3 as printed: then
// nothing stops a replay.
struct Requirements {
  bool digest = true;  // SETUP only
  bool nonce = true;
  bool expires = true;
  bool operator==(const Requirements&) const = default;
};

class Authenticator {
 public:
  // Keeps references: both must outlive it.
  Authenticator(const KeyRing& keys, NonceStore& nonces, Requirements requirements)
      : keys_(keys), nonces_(nonces), requirements_(requirements) {}

  void set_requirements(Requirements requirements) { requirements_ = requirements; }

  // Errors carry the code and name the header. The nonce is claimed last, so a message that is refused here has
  // used up nothing. Requests that need no signature (ncm::needs_signature) do not come here.
  Result<Authenticated<ncm::Request>> authenticate(const ncm::Request& request, WallTime now);

 private:
  Status check_present(const ncm::Request& request) const;
  Status check_signature(const ncm::Request& request) const;

  const KeyRing& keys_;
  NonceStore& nonces_;
  Requirements requirements_;
};

// The message's signature by `key`, put into its `signature` header.
void sign_message(ncm::Message& message, const PrivateKey& key);

}  // namespace netserv::auth
