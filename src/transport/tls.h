// TLS 1.2 and 1.3 for messaging associations (RFC 5971, 5.7.3): both sides show a certificate, chains are checked
// against our own authorities, and names are left to the authorised-peer list. By OpenSSL.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "base/result.h"
#include "gist/environment.h"

namespace netserv::transport {

struct TlsFiles {
  std::string certificate;  // PEM, chain included
  std::string key;          // PEM
  std::string authorities;  // PEM: whom peers' certificates must come from
};

// What is in them.
struct TlsTexts {
  std::string certificate, key, authorities;
  bool operator==(const TlsTexts&) const = default;
  template <class A> void fields(A& a) { a(certificate, key, authorities); }
};

struct SslContextFree {
  void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
};
struct SslFree {
  void operator()(SSL* s) const { SSL_free(s); }
};
using SslContext = std::unique_ptr<SSL_CTX, SslContextFree>;
using SslSession = std::unique_ptr<SSL, SslFree>;

Result<TlsTexts> read_tls_files(const TlsFiles& files);
// Used for both roles. `names` are for errors only.
Result<SslContext> make_tls_context(const TlsTexts& texts, const TlsFiles& names);
// After the handshake.
gist::PeerCredentials credentials_of(SSL* session);

}  // namespace netserv::transport
