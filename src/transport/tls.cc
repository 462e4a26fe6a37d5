#include "transport/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>

namespace netserv::transport {
namespace {

tl::unexpected<Error> tls_failure(const std::string& subject) {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  return fail(Origin::kOperator, subject, text.data());
}

constexpr std::streamsize kMaxFile = 1 << 20;

struct BioFree {
  void operator()(BIO* b) const { BIO_free(b); }
};
struct CertificateFree {
  void operator()(X509* c) const { X509_free(c); }
};
struct KeyFree {
  void operator()(EVP_PKEY* k) const { EVP_PKEY_free(k); }
};
struct InfosFree {
  void operator()(STACK_OF(X509_INFO)* i) const { sk_X509_INFO_pop_free(i, X509_INFO_free); }
};

std::unique_ptr<BIO, BioFree> reader(const std::string& text) {
  return std::unique_ptr<BIO, BioFree>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// A daemon has nobody to ask for a pass phrase.
int no_pass_phrase(char*, int, int, void*) { return -1; }

// One's own certificate, then those between it and the authority.
bool use_certificates(SSL_CTX* context, const std::string& text) {
  const auto in = reader(text);
  for (bool own = true;; own = false) {
    const std::unique_ptr<X509, CertificateFree> next(PEM_read_bio_X509(in.get(), nullptr, no_pass_phrase, nullptr));
    if (!next) {
      if (own || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) return false;
      ERR_clear_error();
      return true;
    }
    if ((own ? SSL_CTX_use_certificate(context, next.get()) : SSL_CTX_add1_chain_cert(context, next.get())) != 1) return false;
  }
}

bool use_key(SSL_CTX* context, const std::string& text) {
  const std::unique_ptr<EVP_PKEY, KeyFree> key(PEM_read_bio_PrivateKey(reader(text).get(), nullptr, no_pass_phrase, nullptr));
  return key && SSL_CTX_use_PrivateKey(context, key.get()) == 1 && SSL_CTX_check_private_key(context) == 1;
}

// Certificates, and revocation lists: with any, a peer is refused whose authority has none.
bool use_authorities(SSL_CTX* context, const std::string& text) {
  const std::unique_ptr<STACK_OF(X509_INFO), InfosFree> infos(
      PEM_X509_INFO_read_bio(reader(text).get(), nullptr, no_pass_phrase, nullptr));
  if (!infos) return false;
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  bool any = false, lists = false;
  for (int i = 0; i < sk_X509_INFO_num(infos.get()); ++i) {
    const X509_INFO* info = sk_X509_INFO_value(infos.get(), i);
    if (info->x509 && X509_STORE_add_cert(store, info->x509) != 1) return false;
    if (info->crl && X509_STORE_add_crl(store, info->crl) != 1) return false;
    any |= info->x509 != nullptr;
    lists |= info->crl != nullptr;
  }
  if (lists && X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK) != 1) return false;
  if (!any) ERR_put_error(ERR_LIB_PEM, 0, PEM_R_NO_START_LINE, nullptr, 0);
  return any;
}

Result<std::string> read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail_errno(path, "open", errno);
  std::string text(static_cast<std::size_t>(kMaxFile) + 1, '\0');
  in.read(text.data(), kMaxFile + 1);
  if (in.bad()) return fail(Origin::kOperator, path, "can't be read");
  if (in.gcount() > kMaxFile) return fail(Origin::kOperator, path, "is too large");
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

// A name with a NUL inside is none.
std::string text_of(const ASN1_STRING* s) {
  if (s == nullptr) return {};
  const std::string out(reinterpret_cast<const char*>(ASN1_STRING_get0_data(s)),
                        static_cast<std::size_t>(ASN1_STRING_length(s)));
  return out.find('\0') == std::string::npos ? out : std::string();
}

}  // namespace

Result<TlsTexts> read_tls_files(const TlsFiles& files) {
  TlsTexts texts;
  NETSERV_ASSIGN(texts.certificate, read_text(files.certificate));
  NETSERV_ASSIGN(texts.key, read_text(files.key));
  NETSERV_ASSIGN(texts.authorities, read_text(files.authorities));
  return texts;
}

Result<SslContext> make_tls_context(const TlsTexts& texts, const TlsFiles& names) {
  SslContext context(SSL_CTX_new(TLS_method()));
  if (!context) return tls_failure("TLS");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  // No resumption: each association shows its certificate.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  if (!use_certificates(context.get(), texts.certificate)) return tls_failure(names.certificate);
  if (!use_key(context.get(), texts.key)) return tls_failure(names.key);
  if (!use_authorities(context.get(), texts.authorities)) return tls_failure(names.authorities);
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
