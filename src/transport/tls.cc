#include "transport/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <array>

namespace netserv::transport {
namespace {

tl::unexpected<Error> tls_failure(const std::string& subject) {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  return fail(Origin::kOperator, subject, text.data());
}

// A name with a NUL inside is none.
std::string text_of(const ASN1_STRING* s) {
  if (s == nullptr) return {};
  const std::string out(reinterpret_cast<const char*>(ASN1_STRING_get0_data(s)),
                        static_cast<std::size_t>(ASN1_STRING_length(s)));
  return out.find('\0') == std::string::npos ? out : std::string();
}

}  // namespace

Result<SslContext> make_tls_context(const TlsFiles& files) {
  SslContext context(SSL_CTX_new(TLS_method()));
  if (!context) return tls_failure("TLS");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  // No resumption: each association shows its certificate.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) != 1)
    return tls_failure(files.certificate);
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1)
    return tls_failure(files.key);
  if (SSL_CTX_load_verify_locations(context.get(), files.authorities.c_str(), nullptr) != 1)
    return tls_failure(files.authorities);
  return context;
}

gist::PeerCredentials credentials_of(SSL* session) {
  gist::PeerCredentials out;
  const std::unique_ptr<X509, void (*)(X509*)> certificate(SSL_get1_peer_certificate(session), X509_free);
  if (!certificate || SSL_get_verify_result(session) != X509_V_OK) return out;
  out.authenticated = true;
  auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_DNS) continue;
    if (std::string text = text_of(name->d.dNSName); !text.empty()) out.dns_names.push_back(std::move(text));
  }
  GENERAL_NAMES_free(names);
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  int last = -1;
  for (int i = -1; (i = X509_NAME_get_index_by_NID(subject, NID_commonName, i)) >= 0;) last = i;
  if (last >= 0) out.common_name = text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
  return out;
}

}  // namespace netserv::transport
