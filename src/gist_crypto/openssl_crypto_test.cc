#include "gist_crypto/openssl_crypto.h"

#include <gtest/gtest.h>

#include <set>

#include "gist/cookies.h"

namespace netserv::gist {
namespace {

TEST(OpenSslCrypto, HmacVectors) {  // RFC 4231, test cases 1 and 2
  OpenSslCrypto crypto;
  EXPECT_EQ(to_hex(crypto.hmac(Bytes(20, std::byte{0x0b}), as_bytes("Hi There"))),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(to_hex(crypto.hmac(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(OpenSslCrypto, RandomBytesDiffer) {
  OpenSslCrypto crypto;
  std::set<Bytes> seen;
  for (int i = 0; i < 100; ++i) {
    Bytes b(16);
    crypto.fill(b);
    seen.insert(b);
  }
  EXPECT_EQ(seen.size(), 100u);
}

TEST(OpenSslCrypto, MakesCookiesThatHold) {
  OpenSslCrypto crypto;
  CookieJar jar(crypto, std::chrono::seconds(60));
  CookieClaim claim;
  claim.nslp = NslpId(32704);
  claim.peer_identity = Bytes(4);
  const CookieContents contents{3, 2, true, {}, {}};
  const Bytes cookie = jar.make(claim, contents, TimePoint{});
  EXPECT_EQ(cookie.size() % 4, 0u);
  EXPECT_EQ(jar.check(cookie, claim, TimePoint{}), contents);
  claim.nslp = NslpId(32705);
  EXPECT_FALSE(jar.check(cookie, claim, TimePoint{}));
}

}  // namespace
}  // namespace netserv::gist
