#include "auth/authenticator.h"

#include <gtest/gtest.h>

#include <map>

#include "wire/ncm/status.h"

namespace netserv::auth {
namespace {

using std::chrono::seconds;

class Nonces : public NonceStore {
 public:
  Result<NonceUse> claim(const PublisherId& p, const std::string& nonce, const std::string& fingerprint, WallTime) override {
    if (broken) return fail(Origin::kSystem, "database", "disk full", ncm::number(ncm::StatusCode::kOverloaded));
    auto [at, fresh] = seen.emplace(std::pair(p, nonce), fingerprint);
    if (fresh) return NonceUse::kNew;
    return at->second == fingerprint ? NonceUse::kSameMessage : NonceUse::kOtherMessage;
  }
  std::map<std::pair<PublisherId, std::string>, std::string> seen;
  bool broken = false;
};

class Keys : public KeyRing {
 public:
  std::optional<PublicKey> find_key(const PublisherId& p) const override {
    auto at = keys.find(p);
    return at == keys.end() ? std::nullopt : std::optional(at->second);
  }
  std::map<PublisherId, PublicKey> keys;
};

class AuthenticatorTest : public testing::Test {
 protected:
  AuthenticatorTest() {
    keys_.keys[PublisherId("jane")] = public_key_of(jane_);
    keys_.keys[PublisherId("joe")] = public_key_of(joe_);
  }
  ncm::Message unsigned_setup() {
    ncm::Setup setup;
    setup.module = {"m", "1"};
    setup.url = "http://example.com/m.wasm";
    setup.digest.emplace();
    ncm::Signer signer;
    signer.user = "jane";
    signer.nonce = "nonce-0001";
    signer.expires = now_ + seconds(60);
    return ncm::to_message(setup, signer);
  }
  ncm::Message signed_setup() {
    ncm::Message m = unsigned_setup();
    sign_message(m, jane_);
    return m;
  }
  // The code of the outcome; kOk if accepted.
  int code(const ncm::Message& m, WallTime now) {
    auto request = ncm::parse_request(m);
    EXPECT_TRUE(request) << request.error().message();
    auto result = authenticator_.authenticate(*request, now);
    return result ? ncm::number(ncm::StatusCode::kOk) : result.error().code;
  }
  int code(const ncm::Message& m) { return code(m, now_); }

  PrivateKey jane_ = *new_private_key(), joe_ = *new_private_key();
  Keys keys_;
  Nonces nonces_;
  WallTime now_ = WallTime(seconds(1'700'000'000));
  Authenticator authenticator_{keys_, nonces_, Requirements{}};
};

TEST_F(AuthenticatorTest, AcceptsItsPublisher) {
  auto request = ncm::parse_request(signed_setup());
  auto a = authenticator_.authenticate(*request, now_);
  ASSERT_TRUE(a) << a.error().message();
  EXPECT_EQ(a->publisher().value(), "jane");
  EXPECT_FALSE(a->repeated());
  EXPECT_EQ((*a->as<ncm::Setup>())->module.name, "m");
  EXPECT_FALSE(a->as<ncm::Remove>());
}

TEST_F(AuthenticatorTest, AnyChangeBreaksTheSignature) {
  for (const ncm::Header& h : signed_setup().headers) {
    if (h.name == "user" || h.name == "signature" || h.name == "expires") continue;
    ncm::Message m = signed_setup();
    m.erase(h.name);
    auto request = ncm::parse_request(m);
    if (!request) continue;  // url is required by the format
    EXPECT_FALSE(authenticator_.authenticate(*request, now_)) << h.name;
  }
  ncm::Message m = signed_setup();
  m.set("ttl", "9999");
  EXPECT_EQ(code(m), 503);
  m = signed_setup();
  m.object = "m_2";
  EXPECT_EQ(code(m), 503);
  m = signed_setup();
  m.set("user", "joe");
  EXPECT_EQ(code(m), 503);
  m = signed_setup();
  m.verb = ncm::Verb::kSetup;
  m.set("toward", "192.0.2.1");
  EXPECT_EQ(code(m), 503);
  EXPECT_TRUE(nonces_.seen.empty());
}

TEST_F(AuthenticatorTest, OrderOfHeadersDoesNotMatter) {
  ncm::Message m = signed_setup();
  std::reverse(m.headers.begin(), m.headers.end());
  EXPECT_EQ(code(m), 200);
}

TEST_F(AuthenticatorTest, WrongAndMissing) {
  ncm::Message m = unsigned_setup();
  EXPECT_EQ(code(m), 502);
  m.set("signature", "4Z+HvDEm2WhHJrg9UKovwmMutxGibsA71FTMFykVa0Y\\xGc1G8o=");
  EXPECT_EQ(code(m), 503);
  m = unsigned_setup();
  m.set("user", "nobody");
  sign_message(m, jane_);
  EXPECT_EQ(code(m), 500);
  for (const char* header : {"user", "nonce", "expires", "digest"}) {
    m = unsigned_setup();
    m.erase(header);
    sign_message(m, jane_);
    EXPECT_EQ(code(m), 305) << header;
  }
}

TEST_F(AuthenticatorTest, ExpiryWindow) {
  EXPECT_EQ(code(signed_setup(), now_ + seconds(60)), 504);
  EXPECT_EQ(code(signed_setup(), now_ + seconds(60) - kMaxExpiresAhead), 200);
  EXPECT_EQ(code(signed_setup(), now_ + seconds(59) - kMaxExpiresAhead), 505);
}

TEST_F(AuthenticatorTest, RepeatsAndReusedNonces) {
  auto request = ncm::parse_request(signed_setup());
  EXPECT_FALSE(authenticator_.authenticate(*request, now_)->repeated());
  EXPECT_TRUE(authenticator_.authenticate(*request, now_)->repeated());
  ncm::Message other = unsigned_setup();
  other.set("ttl", "77");
  sign_message(other, jane_);
  EXPECT_EQ(code(other), 506);
  // Another publisher's nonce is its own.
  other.set("user", "joe");
  sign_message(other, joe_);
  EXPECT_EQ(code(other), 200);
  nonces_.broken = true;
  EXPECT_EQ(code(other), 402);
}

TEST_F(AuthenticatorTest, Figure3OnlyIfConfigured) {
  ncm::Message m = unsigned_setup();
  for (const char* header : {"nonce", "expires", "digest"}) m.erase(header);
  sign_message(m, jane_);
  EXPECT_EQ(code(m), 305);
  authenticator_.set_requirements({false, false, false});
  EXPECT_EQ(code(m), 200);
  m.set("nonce", "nonce-0002");
  sign_message(m, jane_);
  EXPECT_EQ(code(m), 305);
}

TEST(Keys, PemRoundTrip) {
  PrivateKey key = *new_private_key();
  EXPECT_EQ(parse_private_key(print_private_key(key))->seed, key.seed);
  PublicKey shown = public_key_of(key);
  EXPECT_EQ(*parse_public_key(print_public_key(shown)), shown);
  EXPECT_FALSE(parse_public_key("junk"));
  EXPECT_FALSE(parse_public_key(""));
  EXPECT_FALSE(parse_private_key("junk"));
  EXPECT_FALSE(parse_private_key(print_public_key(shown)));
}

// RFC 8032 section 7.1, test 2.
TEST(Keys, RfcVector) {
  auto hex = [](std::string_view text, auto& out) {
    Bytes b;
    ASSERT_TRUE(from_hex(text, b));
    ASSERT_EQ(b.size(), out.size());
    std::copy(b.begin(), b.end(), out.begin());
  };
  PrivateKey key;
  PublicKey expected;
  hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", key.seed);
  hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", expected.bytes);
  EXPECT_EQ(public_key_of(key), expected);
  EXPECT_EQ(sign(key, "\x72"),
            "kqAJqfDUyrhyDoILX2QlQKKye1QWUD+Ps3YiI+vbadoIWsHkPhWZbkWPNhPQ8R2MOHsurrQwKu6wDSkWErsMAA==");
  EXPECT_TRUE(verify(expected, "\x72", sign(key, "\x72")));
  EXPECT_FALSE(verify(expected, "\x73", sign(key, "\x72")));
}

}  // namespace
}  // namespace netserv::auth
