#include <ashlar/net/detail/server_context.hpp>

#include <fmt/format.h>
#include <openssl/err.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/net/detail/context.hpp>

namespace ashlar::net::detail {
namespace {

// Forward secrecy and authenticated encryption only: what Mozilla calls intermediate, without finite-field DHE.
// https://wiki.mozilla.org/Security/Server_Side_TLS
constexpr const char* kCiphersTls12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kCiphersTls13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* kGroups = "X25519:P-256:P-384";

int self_index() noexcept {
  static const int kIndex = ::SSL_CTX_get_ex_new_index(
      0, nullptr, nullptr, nullptr,
      [](void*, void* self, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<ServerContext*>(self); });
  return kIndex;
}

void add_to(std::vector<const Certificate*>& group, const Certificate& certificate) {
  const int kind = ::EVP_PKEY_get_base_id(certificate.key.get());
  const bool has = std::ranges::any_of(
      group, [&](const Certificate* one) { return ::EVP_PKEY_get_base_id(one->key.get()) == kind; });
  if (!has) group.push_back(&certificate);  // the first named wins
}

}  // namespace

std::string alpn_wire(const std::vector<std::string>& protocols) {
  std::string wire;
  for (const std::string& protocol : protocols) {
    if (protocol.empty() || protocol.size() > 255) {
      throw Invalid(fmt::format("ALPN: '{}' is no protocol's name: 1 to 255 bytes (RFC 7301)", protocol));
    }
    wire += static_cast<char>(protocol.size());
    wire += protocol;
  }
  return wire;
}

const ServerContext& ServerContext::of(const SSL_CTX* context) noexcept {
  return *static_cast<const ServerContext*>(::SSL_CTX_get_ex_data(context, self_index()));
}

ContextPtr ServerContext::make(const TlsServerOptions& options, std::shared_ptr<ServerShared> shared) {
  ContextPtr context = make_context(::TLS_server_method());
  auto* const self = new ServerContext(std::move(shared));
  ::SSL_CTX_set_ex_data(context.get(), self_index(), self);  // from here on the context's

  ::SSL_CTX_set_min_proto_version(context.get(),
                                  options.min_version == TlsVersion::tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  // Our order, but ChaCha20 for a client that puts it first because it has no AES in hardware.
  ::SSL_CTX_set_options(context.get(), SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  if (::SSL_CTX_set_cipher_list(context.get(), kCiphersTls12) != 1 ||
      ::SSL_CTX_set_ciphersuites(context.get(), kCiphersTls13) != 1 ||
      ::SSL_CTX_set1_groups_list(context.get(), kGroups) != 1) {
    throw Internal("OpenSSL lacks the ciphers of this server: " + take_reason());
  }

  self->certificates_.push_back(load_certificate(options.certificate_file, options.key_file, options.ocsp_file));
  for (const CertificateFiles& files : options.more_certificates) {
    self->certificates_.push_back(load_certificate(files.certificate_file, files.key_file, files.ocsp_file));
  }
  self->sort_by_name();
  // All, so that one which OpenSSL does not take is found now; the default ones last, and those stay.
  for (const Certificate& one : self->certificates_) one.use_in(context.get());
  for (const Certificate* one : self->default_) one->use_in(context.get());
  if (self->certificates_.size() > 1) ::SSL_CTX_set_cert_cb(context.get(), &on_certificate, self);
  if (std::ranges::any_of(self->certificates_, [](const Certificate& one) { return !one.ocsp.empty(); })) {
    ::SSL_CTX_set_tlsext_status_cb(context.get(), &on_status);
    ::SSL_CTX_set_tlsext_status_arg(context.get(), self);
  }
  ::SSL_CTX_set_alpn_select_cb(context.get(), &on_alpn, self);
  use_tickets(context.get(), *self->shared_->tickets);
  self->ask_for_clients(context.get(), options);
  return context;
}

void ServerContext::sort_by_name() {
  for (const Certificate& one : certificates_) {
    if (one.host_names == certificates_.front().host_names) add_to(default_, one);
    for (const std::string& name : one.host_names) {
      if (name.starts_with("*.")) {
        add_to(wildcards_[name.substr(2)], one);
      } else {
        add_to(by_name_[name], one);
      }
    }
  }
}

void ServerContext::ask_for_clients(SSL_CTX* context, const TlsServerOptions& options) {
  // A session is resumed without a look at the certificate it began with, so it must not outlive the authorities that
  // vouched for it: they are part of what a ticket is for.
  std::string session_context = "ashlar";
  if (!options.client_ca_file.empty()) {
    const std::string pem = read_file("certificate authorities of clients", options.client_ca_file);
    X509_STORE* const store = ::SSL_CTX_get_cert_store(context);
    for (const X509Ptr& authority : parse_certificates(pem, options.client_ca_file)) {
      if (::X509_STORE_add_cert(store, authority.get()) != 1 ||
          ::SSL_CTX_add_client_CA(context, authority.get()) != 1) {
        throw Invalid(fmt::format("cannot use the certificate authorities of clients in {}: {}", options.client_ca_file,
                                  take_reason()));
      }
      session_context += sha256_of(authority.get());
    }
    // Those named are trusted, whether or not they are signed by others.
    ::X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    const bool required = options.client_certificate == TlsServerOptions::ClientCertificate::required;
    ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
    session_context += required ? "required" : "optional";
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  ::EVP_Digest(session_context.data(), session_context.size(), digest, &size, ::EVP_sha256(), nullptr);
  ::SSL_CTX_set_session_id_context(context, digest, std::min(size, unsigned{SSL_MAX_SID_CTX_LENGTH}));
}

const ServerContext::Group& ServerContext::find(std::string_view server_name) const {
  if (server_name.empty()) return default_;
  std::string name = to_lower_ascii(server_name);
  if (const auto exact = by_name_.find(name); exact != by_name_.end()) return exact->second;
  // A wildcard stands for one label (RFC 9525 §6.3).
  const std::size_t dot = name.find('.');
  if (dot == std::string::npos || dot == 0) return default_;
  const auto wildcard = wildcards_.find(name.substr(dot + 1));
  return wildcard != wildcards_.end() ? wildcard->second : default_;
}

int ServerContext::on_certificate(SSL* ssl, void* self) noexcept {
  const char* const name = ::SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  try {
    const Group& group =
        static_cast<const ServerContext*>(self)->find(name != nullptr ? std::string_view(name) : std::string_view());
    ::SSL_certs_clear(ssl);
    return std::ranges::all_of(group, [&](const Certificate* one) { return one->use_in(ssl); }) ? 1 : 0;
  } catch (const std::bad_alloc&) {
    return 0;
  }
}

int ServerContext::on_alpn(SSL*, const unsigned char** chosen, unsigned char* chosen_size, const unsigned char* offered,
                           unsigned offered_size, void* self) noexcept {
  ServerShared& shared = *static_cast<const ServerContext*>(self)->shared_;
  const std::lock_guard lock(shared.mutex);
  const std::string& ours = shared.alpn;
  if (ours.empty()) return SSL_TLSEXT_ERR_NOACK;
  for (std::size_t at = 0; at < ours.size(); at += 1 + static_cast<unsigned char>(ours[at])) {
    const auto size = static_cast<unsigned char>(ours[at]);
    for (unsigned i = 0; i < offered_size; i += 1U + offered[i]) {
      if (offered[i] != size || i + 1U + size > offered_size) continue;
      if (std::memcmp(offered + i + 1, ours.data() + at + 1, size) != 0) continue;
      *chosen = offered + i + 1;  // of the client's message, which OpenSSL keeps until it has copied it
      *chosen_size = size;
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

int ServerContext::on_status(SSL* ssl, void* self) noexcept {
  const X509* const own = ::SSL_get_certificate(ssl);
  for (const Certificate& one : static_cast<const ServerContext*>(self)->certificates_) {
    if (one.own.get() != own) continue;
    if (one.ocsp.empty() || one.ocsp_until <= DateTime::now()) return SSL_TLSEXT_ERR_NOACK;
    void* const copy = ::OPENSSL_memdup(one.ocsp.data(), one.ocsp.size());
    if (copy == nullptr) return SSL_TLSEXT_ERR_NOACK;
    ::SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(one.ocsp.size()));
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

}  // namespace ashlar::net::detail
